// Rejected input with its reasons. What a reader chose is in the address.
import { useEffect, useState } from "preact/hooks";
import { csv, download } from "./csv.js";
import { bytes } from "./format.js";
import { html } from "./html.js";
import { Confirmed, Moment, Problem, Title, useAction } from "./parts.js";
import { asked, link, request } from "./route.js";
import { Tabs } from "./runs.js";
import { text } from "./strings.js";

const said = text.quarantine;
const PAGE = 100;
const MOST = 1000; // the API gives no more at once
const shortName = (source) => source.slice(source.lastIndexOf("/") + 1) || source;

// The beginning of an object, fetched when it is opened.
/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, path, source }) {
  const [found, setFound] = useState({});
  useEffect(() => {
    const stop = new AbortController();
    api(request(`${path}/content`, { source }), { signal: stop.signal })
      .then((content) => setFound({ content }))
      .catch((fault) => fault.name !== "AbortError" && setFound({ fault }));
    return () => stop.abort();
  }, [source]);
  if (found.fault) return html`<${Problem} fault=${found.fault} />`;
  /** @type {import("../types/api").Content | undefined} */
  const content = found.content;
  if (!content) return html`<p class="loading">${text.shared.loading}</p>`;
  if (content.state === "gone") return html`<p class="notice">${said.gone}</p>`;
  return html`<div class="content">
    ${content.state === "changed" && html`<p class="notice">${said.changed}</p>`}
    ${content.size_bytes === 0 && html`<p>${said.emptyObject}</p>`}
    ${content.text === null && html`<p>${said.notText(content.size_bytes === null ? "" : bytes(content.size_bytes))}</p>`}
    ${content.text && html`<pre tabindex="0" role="region" aria-label=${`${said.content}: ${source}`}>${content.text}</pre>`}
    <p class="quiet">${content.truncated && said.cut(bytes(2048), bytes(content.size_bytes))} ${content.modified_at && html`${said.modified} <${Moment} at=${content.modified_at} />`}</p>
  </div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Entry({ api, path, entry }) {
  const [open, setOpen] = useState(false);
  return html`<li class="rejected">
    <div class="what">
      <h2 title=${entry.source}>${shortName(entry.source)}</h2>
      <span class="reason">${entry.reason}</span>
      <span class="quiet number">${entry.size_bytes === null || entry.size_bytes === undefined ? "" : bytes(entry.size_bytes)}</span>
      <button type="button" aria-expanded=${open ? "true" : "false"} aria-label=${said.look(entry.source)} onClick=${() => setOpen(!open)}>${open ? said.hide : said.lookShort}</button>
    </div>
    <p class="quiet source"><code>${entry.source}</code></p>
    ${entry.detail && html`<p>${entry.detail}</p>`}
    ${open && html`<${Content} api=${api} path=${path} source=${entry.source} />`}
  </li>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function Quarantine({ api, address, deployed }) {
  const chosen = asked(address.hash);
  const system = deployed.find((each) => each.id === chosen.system) ?? deployed[0];
  if (!system) return html`<${Title}>${said.title}<//><div class="empty page"><p>${text.runs.noSystems}</p></div>`;
  return html`<${List} key=${system.id} api=${api} system=${system} deployed=${deployed} chosen=${chosen} />`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function List({ api, system, deployed, chosen }) {
  const { reason = "", find = "" } = chosen;
  const offset = Math.max(0, Math.floor(Number(chosen.offset)) || 0);
  const path = /** @type {const} */ (`/api/quarantine/${system.id}`);
  const [state, setState] = useState({ busy: true });
  const [attempt, setAttempt] = useState(0);
  const [typed, setTyped] = useState(find);
  const [replayed, setReplayed] = useState();
  const to = (changes) => link(["quarantine"], { system: system.id, reason, find, ...changes });

  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, busy: true, fault: undefined }));
    api(request(path, { reason, find, offset, limit: PAGE }), { signal: stop.signal })
      .then((answer) => setState({ answer, busy: false }))
      .catch((fault) => fault.name !== "AbortError" && setState({ fault, busy: false }));
    return () => stop.abort();
  }, [path, reason, find, offset, attempt]);
  useEffect(() => setTyped(find), [find]);
  useEffect(() => {
    // Whoever types is not asked to press a key at the end; the API is asked once they pause.
    const timer = setTimeout(() => typed !== find && location.replace(to({ find: typed })), 400);
    return () => clearTimeout(timer);
  }, [typed]);

  const exported = useAction(async () => {
    const rows = [];
    for (let from = 0; ; from += MOST) {
      const page = await api(request(path, { reason, find, offset: from, limit: MOST }));
      rows.push(...page.entries);
      if (rows.length >= page.total || !page.entries.length) break;
    }
    download(`quarantine-${system.id}.csv`, csv([said.source, said.reason, said.detail, said.sizeBytes], rows.map((each) => [each.source, each.reason, each.detail, each.size_bytes])));
  });
  const replay = useAction(async () => setReplayed(await api(`${path}/replay`, { method: "POST" })));

  const { fault, busy } = state;
  /** @type {import("../types/api").Quarantine | undefined} */
  const answer = state.answer;
  const replayButton =
    answer &&
    (answer.allowed.includes("replay")
      ? html`<${Confirmed} primary label=${said.replay} busy=${replay.busy && text.runs.starting} question=${said.replayQuestion} meaning=${said.replayMeaning[system.id]} yes=${said.replayYes} no=${text.shared.cancel} act=${replay.act} />`
      : html`<p class="quiet">${text.shared.onlyAdmins}</p>`);
  return html`<${Title} lead=${said.lead} aside=${replayButton}>${said.title}<//>
    <${Tabs} label=${said.system} deployed=${deployed} chosen=${system} to=${(each) => link(["quarantine"], { system: each.id })} />
    ${replayed && html`<p class="done" role="status">${replayed.id ? html`${said.replayed} <a href=${link(["runs", replayed.system, replayed.id])}>${said.followReplay}</a>` : said.replayedEach}</p>`}
    ${replay.fault && html`<${Problem} fault=${replay.fault} />`}
    <div class="controls" role="search" aria-label=${said.title}>
      <label class="pick">${said.reason}
        <select onChange=${(event) => (location.hash = to({ reason: event.target.value }))}>
          <option value="" selected=${!reason}>${said.allReasons}</option>
          ${(answer?.reasons ?? []).map((each) => html`<option key=${each.reason} value=${each.reason} selected=${each.reason === reason}>${each.reason} (${each.count})</option>`)}
        </select>
      </label>
      <input type="search" aria-label=${said.find} placeholder=${said.find} maxlength="200" value=${typed} onInput=${(event) => setTyped(event.target.value)} />
      <button type="button" disabled=${!answer?.total || exported.busy} onClick=${exported.act}>${text.shared.exportCsv}</button>
      <button type="button" disabled=${busy} onClick=${() => setAttempt(attempt + 1)}>${text.shared.refresh}</button>
      <p class="quiet" role="status">${busy ? text.shared.loading : answer && html`${said.found(answer.total)} ${answer.total > 0 && said.objects(answer.objects)}`}</p>
    </div>
    ${exported.fault && html`<${Problem} fault=${exported.fault} />`}
    ${fault && html`<${Problem} fault=${fault} retry=${() => setAttempt(attempt + 1)} />`}
    ${answer && !answer.entries.length && html`<div class="empty page"><p>${reason || find ? said.noneFiltered : said.none}</p>${(reason || find) && html`<p><a href=${link(["quarantine"], { system: system.id })}>${said.clear}</a></p>`}</div>`}
    ${answer?.entries.length > 0 && html`<ul class="entries card" aria-busy=${busy ? "true" : "false"}>${answer.entries.map((entry) => html`<${Entry} key=${JSON.stringify([entry.source, entry.reason, entry.detail])} api=${api} path=${path} entry=${entry} />`)}</ul>`}
    ${answer?.total > PAGE &&
    html`<nav class="paging" aria-label=${said.pages}>
      ${offset > 0 && html`<a href=${to({ offset: Math.max(0, offset - PAGE) })}>${said.previous}</a>`}
      <span class="quiet">${said.page(offset + 1, offset + answer.entries.length, answer.total)}</span>
      ${offset + PAGE < answer.total && html`<a href=${to({ offset: offset + PAGE })}>${said.next}</a>`}
    </nav>`}`;
}
