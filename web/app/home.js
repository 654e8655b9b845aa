// All systems: what each is for, how its last run went, and what of it waits for a person.
import { useCallback, useEffect, useState } from "preact/hooks";
import { html } from "./html.js";
import { Icon } from "./icon.js";
import { Badge, Moment, Problem, Title, Took } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { text } from "./strings.js";
import { needPlace, systems } from "./systems.js";

const said = text.home;

// What waits for a person; asked anew when the system's last run is another or has ended. Tells `report` too.
function useNeeds(api, id, run, report) {
  const [needs, setNeeds] = useState();
  useEffect(() => {
    const stop = new AbortController();
    api(`/api/systems/${id}/attention`, { signal: stop.signal })
      .then((found) => found.needs)
      .catch((fault) => fault)
      .then((found) => {
        if (stop.signal.aborted) return;
        setNeeds(found);
        report(id, found);
      });
    return () => stop.abort();
  }, [api, run?.id, run?.state]);
  return needs;
}

function LastRun({ id, run }) {
  if (!run) return html`<p class="quiet">${said.neverRun}</p>`;
  return html`<p class="lastrun"><a href=${link(["runs", id, run.id])}><${Moment} at=${run.started_at} /></a>
    <span class="quiet"><${Took} from=${run.started_at} seconds=${run.seconds} /></span><${Badge} state=${run.state} /></p>`;
}

function Needs({ id, needs }) {
  if (!needs) return html`<p class="loading">${text.shared.loading}</p>`;
  if (!Array.isArray(needs)) return html`<p class="notice">${said.cannotTell(needs.message)}</p>`;
  const waiting = needs.filter((each) => each.count);
  const unknown = needs.filter((each) => each.count === null || each.count === undefined);
  return html`${waiting.length > 0 && html`<ul class="needs">${waiting.map((each) => html`<li key=${each.kind}><a href=${needPlace(id, each.kind)}>${said.attention[each.kind](each.count)}</a></li>`)}</ul>`}
    ${!waiting.length && !unknown.length && html`<p class="quiet">${said.nothingNeeded}</p>`}
    ${unknown.length > 0 && html`<details class="unknown"><summary>${said.unknown(unknown.length)}</summary><ul>${unknown.map((each) => html`<li key=${each.kind}>${said.kinds[each.kind]}: ${each.fault}</li>`)}</ul></details>`}`;
}

const Frame = ({ system, state, away, children }) => html`<section class=${`card system ${away ? "away" : ""}`} aria-labelledby=${`system-${system.id}`}>
  <header>
    <span class="mark"><${Icon} name=${system.id} size="24" /></span>
    <h2 id=${`system-${system.id}`}><a href=${system.pages.length && !away ? link([system.id, system.pages[0].id]) : link([system.id])}>${system.title}</a></h2>
    ${state && html`<${Badge} state=${state} label=${state === "failed" ? said.failed : undefined} />`}
  </header>
  <p>${text.systems[system.id].purpose}</p>
  ${children}
</section>`;

const Absent = ({ system, available, environment }) => html`<${Frame} system=${system} away>
  <p class="quiet">${available ? text.about.absent(environment) : text.about.unavailable}</p>
<//>`;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Deployed({ api, system, report }) {
  const { answer, fault, refresh } = usePolled(api, `/api/systems/${system.id}`, (told) => told.state === "running");
  const needs = useNeeds(api, system.id, answer?.last_run, report);
  return html`<${Frame} system=${system} state=${answer?.state ?? (fault && "unknown")}>
    ${fault && html`<${Problem} fault=${fault} title=${said.unknownRun} retry=${refresh} />`}
    <div class="halves">
      <div><h3>${said.lastRun}</h3>${answer && html`<${LastRun} id=${system.id} run=${answer.last_run} />`}</div>
      <div><h3>${said.needs}</h3><${Needs} id=${system.id} needs=${needs} /></div>
    </div>
  <//>`;
}

/** @param {{ api: import("../types/console").Api }} props */
export function Home({ api }) {
  const { answer, fault, refresh } = usePolled(api, "/api/systems");
  const [needs, setNeeds] = useState({});
  const report = useCallback((id, found) => setNeeds((before) => ({ ...before, [id]: found })), []);
  if (!answer) {
    return html`<${Title}>${said.title}<//>
      ${fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`}`;
  }
  const listed = (system) => answer.systems.find((each) => each.id === system.id);
  const there = (deployed) => systems.filter((each) => Boolean(listed(each)?.deployed) === deployed);
  const here = answer.systems.filter((each) => each.deployed);
  const told = here.map((each) => needs[each.id]).filter(Array.isArray);
  const waiting = told.flat().filter((each) => each.count).length;
  const sure = told.length === here.length && told.flat().every((each) => each.count !== null);
  const summary = sure || waiting ? said.summary(here.length, answer.systems.length, waiting) : said.summaryUnknown(here.length, answer.systems.length);
  return html`<${Title} lead=${summary}>${said.title}<//>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <div class="systems here">${there(true).map((system) => html`<${Deployed} key=${system.id} api=${api} system=${system} report=${report} />`)}</div>
    ${there(false).length > 0 && html`<h2 class="above">${said.notHere}</h2>`}
    <div class="systems">${there(false).map((system) => html`<${Absent} key=${system.id} system=${system} available=${listed(system)?.available} environment=${answer.environment} />`)}</div>`;
}
