// Which project of the inspection system a page is about: the one in the address, else the first.
import { useEffect, useRef } from "preact/hooks";
import { html } from "./html.js";
import { Problem, Title } from "./parts.js";
import { usePolled } from "./poll.js";
import { asked, link } from "./route.js";
import { text } from "./strings.js";

const said = text.inspection;

/**
 * A page about one project, which tells its own faults: the list of projects only chooses among them. `content` gets { api, project, path, chosen, address }: `path` is the project's in the API,
 * `chosen` what the address asks for.
 * @param {{ api: import("../types/console").Api, [name: string]: any }} props
 */
export function OfProject({ api, address, title, lead, content }) {
  const { answer, fault, refresh } = usePolled(api, "/api/inspection/projects");
  const chosen = asked(address.hash);
  const names = answer?.projects.map((each) => each.name) ?? [];
  const project = chosen.project ?? names[0];
  const listed = !project || names.includes(project) ? names : [...names, project];
  const chooser =
    project &&
    html`<label class="pick">${said.project} <select onChange=${(event) => (location.hash = link(address.path, { project: event.target.value }))}>
      ${listed.map((each) => html`<option key=${each} value=${each} selected=${each === project}>${each}</option>`)}
    </select></label>`;
  return html`<${Title} lead=${lead} aside=${chooser}>${title}<//>
    ${fault && !project && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!answer && !fault && !project && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${answer && !project && html`<div class="empty page"><p>${said.none}</p><p><a href=${link(["inspection", "projects"])}>${said.makeOne}</a></p></div>`}
    ${project && html`<${content} key=${project} api=${api} project=${project} path=${`/api/inspection/projects/${encodeURIComponent(project)}`} chosen=${chosen} address=${address} />`}`;
}

/**
 * What an action has done, or why it could not. It takes the focus where the button that had it is there no more, or
 * could not keep it while it was busy: who works by keyboard goes on from here.
 * @param {{ action: { busy: boolean, fault?: any }, words?: string }} props
 */
export function Outcome({ action, words }) {
  const outcome = useRef();
  useEffect(() => {
    if ((action.fault || words) && document.activeElement === document.body) outcome.current.focus({ preventScroll: true });
  }, [action.fault, words]);
  return html`<div class="outcome" tabindex="-1" ref=${outcome}>${action.fault && html`<${Problem} fault=${action.fault} />`}${!action.fault && words && html`<p class="done" role="status">${words}</p>`}</div>`;
}
