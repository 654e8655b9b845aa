// Whether cameras still see, and the model still scores, as in its training; alarms with the pictures that are farthest off.
import { value } from "./format.js";
import { html } from "./html.js";
import { OfProject } from "./of-project.js";
import { Badge, Moment, Problem } from "./parts.js";
import { Picture, nameOf } from "./photographs.js";
import { usePolled } from "./poll.js";
import { text } from "./strings.js";

const said = text.drift;

const stateOf = (finding) => (finding.alarm ? "alarm" : finding.unclear ? "unclear" : "fine");
const BADGES = { alarm: "failed", unclear: "waiting", fine: "succeeded" };

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
const Alarm = ({ api, project, watch }) => html`<section class="card" aria-label=${said.alarmOf(watch.finding.line, watch.finding.camera, said.measures[watch.finding.measure])}>
  <header><h3>${said.alarmOf(watch.finding.line, watch.finding.camera, said.measures[watch.finding.measure])}</h3><${Moment} at=${watch.until} /></header>
  <p>${watch.finding.words}</p>
  <p class="quiet">${said.numbers(value(watch.finding.size, "number"), watch.finding.p.toExponential(0), watch.finding.alpha.toExponential(0), value(watch.finding.n, "count"), value(watch.finding.reference, "count"))}</p>
  <ul class="shots small">${(watch.finding.examples ?? []).map((source) => html`<li key=${source}><figure><${Picture} api=${api} project=${project} source=${source} alt=${text.photographs.alt(nameOf(source))} px=${240} /><figcaption>${nameOf(source)}</figcaption></figure></li>`)}</ul>
</section>`;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, project, path }) {
  const { answer, fault, refresh } = usePolled(api, /** @type {`/api/inspection/projects/${string}/drift`} */ (`${path}/drift`));
  if (!answer) return fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`;
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!answer.latest.length && html`<div class="empty page"><p>${said.none}</p></div>`}
    ${answer.latest.length > 0 &&
    html`<section class="card" aria-labelledby="latest"><header><h2 id="latest">${said.latest}</h2></header>
      <div class="scroll tall" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.latest)}><table class="drifts">
        <thead><tr><th scope="col">${said.camera}</th><th scope="col">${said.measure}</th><th scope="col">${said.state}</th><th scope="col" class="number roomy">${said.n}</th><th scope="col" class="roomy">${said.until}</th></tr></thead>
        <tbody>${answer.latest.map(({ finding, until }) => html`<tr key=${`${finding.line} ${finding.camera} ${finding.measure}`}><th scope="row">${finding.line} / ${finding.camera}</th><td>${said.measures[finding.measure]}</td><td><${Badge} state=${BADGES[stateOf(finding)]} label=${said.states[stateOf(finding)]} /><p>${finding.words}</p></td><td class="number roomy">${value(finding.n, "count")}</td><td class="roomy"><${Moment} at=${until} /></td></tr>`)}</tbody>
      </table></div></section>`}
    ${answer.alarms.length > 0 && html`<h2 class="above">${said.alarms}</h2><div class="stack">${answer.alarms.map((each) => html`<${Alarm} key=${`${each.until} ${each.finding.line} ${each.finding.camera} ${each.finding.measure}`} api=${api} project=${project} watch=${each} />`)}</div>`}`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Drift = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
