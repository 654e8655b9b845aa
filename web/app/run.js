// One run, live: its steps with state, time, error and log, and when each of them ran.
import { time } from "./format.js";
import { html } from "./html.js";
import { Badge, Confirmed, Moment, Problem, Title, Took, useAction, useNow } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { inProgress } from "./runs.js";
import { text } from "./strings.js";

const said = text.run;
const WIDTH = 1000; // units of a lane's own coordinates

// When a step ran, between the run's beginning and its end, or now.
function Lane({ run, step, now }) {
  if (!step.started_at) return null;
  const start = Date.parse(run.started_at);
  const until = (each) => Date.parse(each.ended_at ?? "") || now;
  const end = Math.max(until(run), ...run.steps.filter((each) => each.started_at).map(until), start + 1);
  const at = (moment) => ((moment - start) / (end - start)) * WIDTH;
  const from = Math.max(0, at(Date.parse(step.started_at)));
  return html`<svg class="lane" viewBox=${`0 0 ${WIDTH} 6`} preserveAspectRatio="none" aria-hidden="true"><rect class="track" width=${WIDTH} height="6" /><rect class=${`bar ${step.state}`} x=${from} width=${Math.max(4, at(until(step)) - from)} height="6" /></svg>`;
}

const Step = ({ run, step, now }) => html`<li class=${`step ${step.state}`}>
  <div class="what"><h3>${step.title}</h3><${Badge} state=${step.state} /></div>
  <p class="quiet">${said.kinds[step.kind]} <code>${step.name}</code></p>
  ${step.started_at && html`<p class="when"><${Moment} at=${step.started_at} /> · <${Took} from=${step.started_at} seconds=${step.seconds} />${step.attempts > 1 ? ` · ${said.attempt(step.attempts)}` : ""}</p>`}
  <${Lane} run=${run} step=${step} now=${now} />
  ${step.state === "failed" && html`<div class="problem"><p><strong>${said.error}:</strong> ${step.error ?? said.noReason}</p></div>`}
  ${step.log && html`<p class="quiet log">${said.log} <code>${step.log.group}</code>${step.log.stream && html` ${said.logStream} <code>${step.log.stream}</code>`}</p>`}
</li>`;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function Run({ api, address, system }) {
  const path = /** @type {const} */ (`/api/runs/${system.id}/${encodeURIComponent(address.path[2])}`);
  const { answer: run, fault, refresh } = usePolled(api, path, inProgress);
  const now = useNow(Boolean(run) && inProgress(run));
  const stop = useAction(async () => {
    await api(`${path}/stop`, { method: "POST" });
    refresh();
  });
  const resume = useAction(async () => {
    await api(`${path}/resume`, { method: "POST" });
    refresh();
  });
  const back = html`<p class="back"><a href=${link(["runs", system.id])}>${said.back}</a></p>`;
  if (!run)
    return html`${back}<${Title}>${said.title(system.title)}<//>
      ${fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`}`;
  const made = system.pages.filter((each) => each.ofRun);
  const stopButton = run.allowed.includes("stop") && html`<${Confirmed} label=${said.stop} busy=${stop.busy && said.stopping} question=${said.stopQuestion} meaning=${said.stopMeaning} yes=${said.stopYes} no=${said.stopNo} act=${stop.act} />`;
  const resumeButton = run.allowed.includes("resume") && html`<button type="button" disabled=${resume.busy} title=${said.resumeMeaning} onClick=${resume.act}>${resume.busy ? said.resuming : said.resume}</button>`;
  return html`${back}<${Title} lead=${time(run.started_at)} aside=${stopButton || resumeButton}>${said.title(system.title)}<//>
    ${made.length > 0 && html`<nav class="tabs" aria-label=${said.made}>${made.map((each) => html`<a key=${each.id} href=${link([system.id, each.id], { run: run.id })}>${each.title}</a>`)}</nav>`}
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${stop.fault && html`<${Problem} fault=${stop.fault} />`}
    ${resume.fault && html`<${Problem} fault=${resume.fault} />`}
    <section class=${`card progress ${run.state}`} aria-labelledby="progress">
      <p role="status"><${Badge} state=${run.state} /> <span id="progress">${said.progress(run.done, run.total)}</span></p>
      <progress max=${Math.max(1, run.total)} value=${run.done} aria-labelledby="progress"></progress>
      <dl>
        <div><dt>${said.begun}</dt><dd><${Moment} at=${run.started_at} /></dd></div>
        ${run.ended_at && html`<div><dt>${said.ended}</dt><dd><${Moment} at=${run.ended_at} /></dd></div>`}
        <div><dt>${said.duration}</dt><dd><${Took} from=${run.started_at} seconds=${run.seconds} /></dd></div>
        <div><dt>${said.id}</dt><dd><code>${run.id}</code></dd></div>
      </dl>
    </section>
    <h2 class="above">${said.steps}</h2>
    <ol class="steps card">${run.steps.map((step) => html`<${Step} key=${step.name} run=${run} step=${step} now=${now} />`)}</ol>`;
}
