// A system that has no pages here: what it is for, and why it is not there.
import { html } from "./html.js";
import { Icon } from "./icon.js";
import { Badge, Problem, Title } from "./parts.js";
import { usePolled } from "./poll.js";
import { text } from "./strings.js";

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function About({ api, system }) {
  const { answer, fault, refresh } = usePolled(api, "/api/systems");
  const words = text.systems[system.id];
  const found = answer?.systems.find((each) => each.id === system.id);
  return html`<${Title} lead=${words.purpose}><span class="mark"><${Icon} name=${system.id} size="26" /></span> ${words.title}<//>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <section class="card about">
      ${found && !found.deployed && html`<p><${Badge} state="absent" /></p>`}
      ${found && !found.deployed && html`<p>${found.available ? text.about.absent(answer.environment) : text.about.unavailable}</p>`}
      <dl class="pairs">
        <div><dt>${text.about.takes}</dt><dd>${words.takes}</dd></div>
        <div><dt>${text.about.gives}</dt><dd>${words.gives}</dd></div>
        <div><dt>${text.about.on}</dt><dd>${words.on}</dd></div>
      </dl>
    </section>`;
}
