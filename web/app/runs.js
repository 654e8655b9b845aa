// The runs of one system, newest first, followed while one is in progress.
import { useState } from "preact/hooks";
import { time } from "./format.js";
import { html } from "./html.js";
import { Badge, Moment, Problem, Title, Took, useAction } from "./parts.js";
import { usePolled } from "./poll.js";
import { link, request } from "./route.js";
import { text } from "./strings.js";

const said = text.runs;
export const inProgress = (run) => run.state === "running" || run.state === "stopping";

// Links between the systems that are deployed; nothing where there is but one.
export const Tabs = ({ label, deployed, chosen, to }) =>
  deployed.length > 1 &&
  html`<nav class="tabs" aria-label=${label}>${deployed.map((each) => html`<a key=${each.id} href=${to(each)} aria-current=${each.id === chosen.id ? "page" : undefined}>${each.title}</a>`)}</nav>`;

const Row = ({ system, run }) => html`<tr>
  <th scope="row"><a href=${link(["runs", system.id, run.id])} aria-label=${said.openRun(system.title, time(run.started_at))}><${Moment} at=${run.started_at} /></a><span class="narrowly quiet"><${Took} from=${run.started_at} seconds=${run.seconds} /></span></th>
  <td><${Badge} state=${run.state} /></td>
  <td class="number roomy"><${Took} from=${run.started_at} seconds=${run.seconds} /></td>
  <td class="number roomy">${said.progress(run.done, run.total)}</td>
</tr>`;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function Runs({ api, address, deployed }) {
  const system = deployed.find((each) => each.id === address.path[1]) ?? deployed[0];
  if (!system) return html`<${Title}>${said.title}<//><div class="empty page"><p>${said.noSystems}</p></div>`;
  return html`<${List} key=${system.id} api=${api} system=${system} deployed=${deployed} />`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function List({ api, system, deployed }) {
  const path = /** @type {const} */ (`/api/runs/${system.id}`);
  const { answer, fault, refresh } = usePolled(api, path, (told) => told.runs.some(inProgress));
  const [older, setOlder] = useState({ runs: [], next: undefined });
  const start = useAction(async () => {
    const { id } = await api(path, { method: "POST" });
    location.hash = link(["runs", system.id, id]);
  });
  const next = older.runs.length ? older.next : answer?.next;
  const more = useAction(async () => {
    const page = await api(request(path, { after: next }));
    setOlder((before) => ({ runs: [...before.runs, ...page.runs], next: page.next }));
  });
  const newest = answer?.runs ?? [];
  const runs = [...newest, ...older.runs.filter((each) => !newest.some((known) => known.id === each.id))];
  const running = runs.some(inProgress);
  const startButton =
    answer &&
    (answer.allowed.includes("start")
      ? html`<button type="button" class="primary" disabled=${start.busy || running} onClick=${start.act}>${start.busy ? said.starting : said.start(system.title)}</button>`
      : html`<p class="quiet">${text.shared.onlyAdmins}</p>`);
  return html`<${Title} lead=${said.lead(system.title)} aside=${startButton}>${said.title}<//>
    <${Tabs} label=${said.system} deployed=${deployed} chosen=${system} to=${(each) => link(["runs", each.id])} />
    ${start.fault && html`<${Problem} fault=${start.fault} />`}
    ${fault && html`<${Problem} fault=${fault} title=${said.failedToRead(system.title)} retry=${refresh} />`}
    ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${answer && !runs.length && html`<div class="empty page"><p>${said.none}</p></div>`}
    ${runs.length > 0 &&
    html`<div class="card list"><table>
      <thead><tr><th scope="col">${said.begun}</th><th scope="col">${said.state}</th><th scope="col" class="number roomy">${said.duration}</th><th scope="col" class="number roomy">${said.steps}</th></tr></thead>
      <tbody>${runs.map((run) => html`<${Row} key=${run.id} system=${system} run=${run} />`)}</tbody>
    </table></div>`}
    ${next && html`<p class="more"><button type="button" disabled=${more.busy} onClick=${more.act}>${said.older}</button></p>`}
    ${more.fault && html`<${Problem} fault=${more.fault} />`}`;
}
