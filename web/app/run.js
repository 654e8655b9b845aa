// One run, live: its steps with state, time, error and log, and when each of them ran.
import { useState, useEffect } from "preact/hooks";
import { duration, time } from "./format.js";
import { html } from "./html.js";
import { Badge, Confirmed, Moment, Problem, Title, Took, useAction } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { inProgress } from "./runs.js";
import { text } from "./strings.js";

const said = text.run;
const WIDTH = 1000; // units of the timeline's own coordinates

// Bars of the steps between the run's beginning and its end, or now.
function Timeline({ run }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!inProgress(run)) return undefined;
    const clock = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(clock);
  }, [run.state]);
  const begun = run.steps.filter((each) => each.started_at);
  if (!begun.length) return null;
  const start = Date.parse(run.started_at);
  const end = Math.max(...begun.map((each) => Date.parse(each.ended_at ?? "") || now), Date.parse(run.ended_at ?? "") || 0, start + 1);
  const at = (moment) => ((moment - start) / (end - start)) * WIDTH;
  const parts = begun.map((each) => said.timelinePart(each.title, text.shared.states[each.state], each.seconds && duration(each.seconds)));
  return html`<svg class="timeline" viewBox=${`0 0 ${WIDTH} ${begun.length * 22}`} preserveAspectRatio="none" role="img" aria-label=${said.timeline(parts)}>
    ${begun.map((each, row) => {
      const [from, to] = [at(Date.parse(each.started_at)), at(Date.parse(each.ended_at ?? "") || now)];
      return html`<rect key=${each.name} class="track" x="0" y=${row * 22 + 4} width=${WIDTH} height="14" /><rect class=${`bar ${each.state}`} x=${Math.max(0, from)} y=${row * 22 + 4} width=${Math.max(4, to - from)} height="14" />`;
    })}
  </svg>`;
}

const Step = ({ step }) => html`<li class=${`step ${step.state}`}>
  <div class="what"><h3>${step.title}</h3><${Badge} state=${step.state} /></div>
  <p class="quiet">${said.kinds[step.kind]} <code>${step.name}</code></p>
  ${step.started_at && html`<p class="when"><${Moment} at=${step.started_at} /> · <${Took} from=${step.started_at} seconds=${step.seconds} />${step.attempts > 1 ? ` · ${said.attempt(step.attempts)}` : ""}</p>`}
  ${step.state === "failed" && html`<div class="problem"><p><strong>${said.error}:</strong> ${step.error ?? said.noReason}</p></div>`}
  ${step.log && html`<p class="quiet log">${said.log} <code>${step.log.group}</code>${step.log.stream && html` ${said.logStream} <code>${step.log.stream}</code>`}</p>`}
</li>`;

export function Run({ api, address, system }) {
  const path = `/api/runs/${system.id}/${encodeURIComponent(address.path[2])}`;
  const { answer: run, fault, refresh } = usePolled(api, path, inProgress);
  const stop = useAction(async () => {
    await api(`${path}/stop`, { method: "POST" });
    refresh();
  });
  const back = html`<p class="back"><a href=${link(["runs", system.id])}>${said.back}</a></p>`;
  if (!run)
    return html`${back}<${Title}>${said.title(system.title)}<//>
      ${fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`}`;
  const stopButton = run.allowed.includes("stop") && html`<${Confirmed} label=${said.stop} busy=${stop.busy && said.stopping} question=${said.stopQuestion} meaning=${said.stopMeaning} yes=${said.stopYes} no=${said.stopNo} act=${stop.act} />`;
  return html`${back}<${Title} lead=${time(run.started_at)} aside=${stopButton}>${said.title(system.title)}<//>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${stop.fault && html`<${Problem} fault=${stop.fault} />`}
    <section class="card progress" aria-labelledby="progress">
      <p role="status"><${Badge} state=${run.state} /> <span id="progress">${said.progress(run.done, run.total)}</span></p>
      <progress max=${Math.max(1, run.total)} value=${run.done} aria-labelledby="progress"></progress>
      <dl>
        <div><dt>${said.begun}</dt><dd><${Moment} at=${run.started_at} /></dd></div>
        ${run.ended_at && html`<div><dt>${said.ended}</dt><dd><${Moment} at=${run.ended_at} /></dd></div>`}
        <div><dt>${said.duration}</dt><dd><${Took} from=${run.started_at} seconds=${run.seconds} /></dd></div>
        <div><dt>${said.id}</dt><dd><code>${run.id}</code></dd></div>
      </dl>
      <${Timeline} run=${run} />
    </section>
    <h2 class="above">${said.steps}</h2>
    <ol class="steps card">${run.steps.map((step) => html`<${Step} key=${step.name} step=${step} />`)}</ol>`;
}
