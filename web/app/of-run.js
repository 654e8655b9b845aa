// Which run of the slides system a page is about: the one in the address, else the newest.
import { time } from "./format.js";
import { html } from "./html.js";
import { Problem, Title } from "./parts.js";
import { usePolled } from "./poll.js";
import { asked, link } from "./route.js";
import { inProgress } from "./runs.js";
import { text } from "./strings.js";

const said = text.slides;

// A page's address with this run and no other choice kept.
const toRun = (address, run) => link(address.path, { run });

function Chooser({ address, runs, run }) {
  const listed = runs.some((each) => each.id === run) ? runs : [...runs, { id: run }];
  return html`<label class="pick">${said.run} <select onChange=${(event) => (location.hash = toRun(address, event.target.value))}>
    ${listed.map((each) => html`<option key=${each.id} value=${each.id} selected=${each.id === run}>${each.started_at ? said.runOf(time(each.started_at), text.shared.states[each.state]) : said.runNamed(each.id)}</option>`)}
  </select></label>`;
}

/**
 * A page about one run. `content` gets { api, run, chosen, busy }: `chosen` is what the address asks for.
 * @param {{ api: import("../types/console").Api, [name: string]: any }} props
 */
export function OfRun({ api, address, title, lead, content }) {
  const { answer, fault, refresh } = usePolled(api, "/api/runs/slides", (told) => told.runs.some(inProgress));
  const chosen = asked(address.hash);
  const runs = answer?.runs ?? [];
  const run = chosen.run ?? runs[0]?.id;
  const current = runs.find((each) => each.id === run);
  const busy = Boolean(current && inProgress(current));
  return html`<${Title} lead=${lead} aside=${run && html`<${Chooser} address=${address} runs=${runs} run=${run} />`}>${title}<//>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!answer && !fault && !run && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${answer && !run && html`<div class="empty page"><p>${said.none}</p><p>${said.howToBegin}</p></div>`}
    ${busy && html`<p class="notice">${said.runGoesOn} <a href=${link(["runs", "slides", run])}>${said.followRun}</a></p>`}
    ${run && html`<${content} key=${run} api=${api} run=${run} chosen=${chosen} address=${address} busy=${busy} />`}`;
}
