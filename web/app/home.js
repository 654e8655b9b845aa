// All systems: what each is for, how its last run went, and what of it waits for a person.
import { useEffect, useState } from "preact/hooks";
import { html } from "./html.js";
import { Icon } from "./icon.js";
import { Badge, Moment, Problem, Title, Took } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { text } from "./strings.js";
import { needPlace, systems } from "./systems.js";

const said = text.home;

// What waits for a person, by system; asked anew when the system's last run is another or has ended.
function useNeeds(api, told) {
  const [needs, setNeeds] = useState({});
  const deployed = (told?.systems ?? []).filter((each) => each.state !== "absent");
  const runs = deployed.map((each) => `${each.id} ${each.last_run?.id} ${each.last_run?.state}`).join("; ");
  useEffect(() => {
    const stop = new AbortController();
    for (const { id } of deployed)
      api(`/api/systems/${id}/attention`, { signal: stop.signal })
        .then((found) => setNeeds((before) => ({ ...before, [id]: found.needs })))
        .catch((fault) => fault.name !== "AbortError" && setNeeds((before) => ({ ...before, [id]: fault })));
    return () => stop.abort();
  }, [api, runs]);
  return needs;
}

function LastRun({ found }) {
  const run = found.last_run;
  if (found.fault) return html`<p class="notice">${said.unknownRun} ${found.fault}</p>`;
  if (!run) return html`<p class="quiet">${said.neverRun}</p>`;
  return html`<p class="lastrun"><a href=${link(["runs", found.id, run.id])}>${said.lastRun}</a>
    <span><${Badge} state=${run.state} /></span>
    <span class="quiet"><${Moment} at=${run.started_at} /> · <${Took} from=${run.started_at} seconds=${run.seconds} /></span></p>`;
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

function Card({ system, found, needs, environment }) {
  const words = text.systems[system.id];
  const absent = found.state === "absent";
  return html`<section class=${`card system ${absent ? "away" : ""}`} aria-labelledby=${`system-${system.id}`}>
    <header>
      <span class="mark"><${Icon} name=${system.id} size="24" /></span>
      <h2 id=${`system-${system.id}`}><a href=${system.pages.length && !absent ? link([system.id, system.pages[0].id]) : link([system.id])}>${words.title}</a></h2>
      <${Badge} state=${found.state} />
    </header>
    <p>${words.purpose}</p>
    ${absent
      ? html`<p class="quiet">${found.available ? text.about.absent(environment) : text.about.unavailable}</p>`
      : html`<${LastRun} found=${found} />
          <h3>${said.needs}</h3>
          <${Needs} id=${system.id} needs=${needs} />`}
  </section>`;
}

export function Home({ api }) {
  const { answer, fault, refresh } = usePolled(api, "/api/systems", (told) => told.systems.some((each) => each.state === "running"));
  const needs = useNeeds(api, answer);
  if (!answer) {
    return html`<${Title}>${said.title}<//>
      ${fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`}`;
  }
  const here = answer.systems.filter((each) => each.state !== "absent");
  const counted = here.map((each) => needs[each.id]).filter(Array.isArray);
  const waiting = counted.flat().filter((each) => each.count).length;
  const sure = counted.length === here.length && counted.flat().every((each) => each.count !== null);
  return html`<${Title} lead=${sure ? said.summary(here.length, answer.systems.length, waiting) : said.summaryUnknown(here.length, answer.systems.length)}>${said.title}<//>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <div class="systems">
      ${systems.map((system) => html`<${Card} key=${system.id} system=${system} found=${answer.systems.find((each) => each.id === system.id)} needs=${needs[system.id]} environment=${answer.environment} />`)}
    </div>`;
}
