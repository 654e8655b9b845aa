// How good a model version is: its numbers with their intervals, curves, and what another threshold would do.
import { useState } from "preact/hooks";
import { Card } from "./card.js";
import { interval, value } from "./format.js";
import { html } from "./html.js";
import { Problem, Title } from "./parts.js";
import { Large, Picture, nameOf } from "./photographs.js";
import { usePolled } from "./poll.js";
import { asked, link } from "./route.js";
import { report } from "./figures.js";
import { text } from "./strings.js";
import { Duel, Status } from "./versions.js";

const said = text.model;
const Z = 1.96;
const SHARE = { unit: "share", adds: false, lower: null, upper: null, n: null };

/** @typedef {import("../types/api").Measured} Measured */

/**
 * Wilson's (1927) 95 % interval of a share: [low, high]; everything where nothing was counted.
 * @param {number} count
 * @param {number} n
 */
export function wilson(count, n) {
  if (!n) return [0, 1];
  const centre = count + (Z * Z) / 2;
  const spread = Z * Math.sqrt((count * (n - count)) / n + (Z * Z) / 4);
  return [Math.max(0, (centre - spread) / (n + Z * Z)), Math.min(1, (centre + spread) / (n + Z * Z))];
}

/**
 * What a threshold does to the photographs, from the cuts at which something changes: an anomaly is what reaches it.
 * @param {Measured} measured
 * @param {number} threshold a probability
 */
export function at(measured, threshold) {
  const reached = measured.cuts.filter((each) => each.probability >= threshold);
  if (!reached.length) return { false_rejects: 0, missed: measured.anomalies };
  return reached.reduce((lowest, each) => (each.probability < lowest.probability ? each : lowest));
}

function Counted({ title, count, n, nouns, note }) {
  const [low, high] = wilson(count, n);
  return html`<section class="card kpi span1">
    <h3>${title}</h3>
    <p class="figure">${said.of(value(count, "count"), value(n, "count"))}</p>
    <p class="quiet">${n ? `${value(count / n, "share")}, ${text.reports.interval} ${interval(low, high, "share")}` : said.noneOf(nouns)}</p>
    ${note && html`<p class="quiet">${note}</p>`}
  </section>`;
}

/** @param {{ measured: Measured }} props */
function Threshold({ measured }) {
  const own = measured.threshold ?? 0.5;
  const [percent, setPercent] = useState(own * 100);
  const found = at(measured, percent / 100);
  const isOwn = Math.abs(percent / 100 - own) < 1e-9;
  const told = said.thresholdTold(value(percent / 100, "share"), found.false_rejects, measured.normals, found.missed, measured.anomalies);
  return html`<section class="card span4" aria-labelledby="threshold">
    <header><h2 id="threshold">${said.threshold}</h2><div class="actions"><button type="button" disabled=${isOwn} onClick=${() => setPercent(own * 100)}>${said.ownThreshold}</button></div></header>
    <p class="quiet">${said.thresholdNote}</p>
    <label class="pick wide">${said.probability} <input type="range" min="0" max="100" step="any" value=${percent} aria-valuetext=${told} onInput=${(event) => setPercent(Number(event.target.value))} onKeyDown=${(event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (!step) return;
      event.preventDefault();
      setPercent((before) => Math.max(0, Math.min(100, Math.round(before) + step)));
    }} /> <output>${value(percent / 100, "share")}${isOwn ? ` ${said.isOwn}` : ""}</output></label>
    <div class="grid" aria-live="polite">
      <${Counted} title=${said.falseRejects} count=${found.false_rejects} n=${measured.normals} nouns=${said.normals} note=${said.budget(value(measured.budget, "share"), value(measured.guarantee, "share"))} />
      <${Counted} title=${said.missedDefects} count=${found.missed} n=${measured.anomalies} nouns=${said.anomalies} />
    </div>
  </section>`;
}

function Figure({ name, found, between, note }) {
  return html`<section class="card kpi span1"><h2>${said.figures[name]}</h2>
    <p class="figure">${value(found, name === "ece" ? "number" : "share")}</p>
    <p class="quiet">${found === null ? said.notTold : between ? `${text.reports.interval} ${interval(between[0], between[1], "share")}` : (note ?? "")}</p>
  </section>`;
}

/** @param {Measured} measured */
export function curves(measured) {
  const dimension = (title, kind = "text") => ({ title, kind, filter: null });
  const one = (id, points, x, y) =>
    report(
      { id, type: "line", title: said.titles[id], note: said.notes[id], rows: ["x"], columns: "line", measures: ["y"] },
      { x: dimension(x, "number"), line: dimension(said.line) },
      { y: { ...SHARE, title: y } },
      points,
      said.points,
    );
  const found = [];
  if (measured.roc.length)
    found.push(
      one("roc", [...measured.roc.map(([x, y]) => ({ x, line: said.measured, y })), ...[0, 1].map((each) => ({ x: each, line: said.chance, y: each }))], said.falseRate, said.trueRate),
    );
  if (measured.pr.length) found.push(one("pr", measured.pr.map(([x, y]) => ({ x, line: said.measured, y })), said.recall, said.precision));
  return found;
}

const NO_CHOICE = { offers: () => false, has: () => false, choose: () => {} };

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Measurements({ api, project, version, measured, refresh }) {
  const [shown, setShown] = useState();
  return html`<p role="status" class="measured">${said.on[measured.on](value(measured.normals, "count"), value(measured.anomalies, "count"))}</p>
    <div class="grid">
      <${Figure} name="auroc" found=${measured.auroc} between=${measured.auroc_interval} />
      <${Figure} name="f1" found=${measured.f1} note=${said.precisionRecall(value(measured.precision, "share"), value(measured.recall, "share"))} />
      <${Figure} name="average_precision" found=${measured.average_precision} />
      <${Figure} name="ece" found=${measured.ece} note=${said.eceNote} />
      <${Threshold} key=${version} measured=${measured} />
      ${curves(measured).map((each) => html`<${Card} key=${each.visual.id} slug=${`${project}-${version}`} source=${said.source} visual=${each.visual} dataset=${each.dataset} outcome=${each.outcome} busy=${false} filtered=${false} titles=${{}} known=${(reference) => [...new Set(each.outcome.answer.rows.map((row) => row[each.outcome.answer.columns.findIndex((column) => column.name === reference)]))]} choice=${NO_CHOICE} drill=${() => ""} chips=${() => []} retry=${refresh} clear=${() => {}} />`)}
      ${measured.labels.length > 0 &&
      html`<section class="card span4" aria-labelledby="labels"><header><h2 id="labels">${said.byLabel}</h2></header>
        <div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.byLabel)}><table>
          <thead><tr><th scope="col">${said.label}</th><th scope="col" class="number">${said.photographs}</th><th scope="col" class="number">F1</th><th scope="col" class="number">IoU</th></tr></thead>
          <tbody>${measured.labels.map((each) => html`<tr key=${each.name}><th scope="row">${each.name}</th><td class="number">${each.photographs}</td><td class="number">${value(each.f1, "share")}</td><td class="number">${value(each.iou, "share")}</td></tr>`)}</tbody>
        </table></div></section>`}
      <section class="card span4" aria-labelledby="mistakes"><header><h2 id="mistakes">${said.mistakes}</h2></header>
        ${!measured.mistakes.length && html`<p class="quiet">${said.noMistakes}</p>`}
        <ul class="shots small">${measured.mistakes.map(
          (each) => html`<li key=${each.source}><figure>
            <button type="button" class="plain" aria-label=${text.photographs.enlarge(nameOf(each.source))} onClick=${() => setShown({ source: each.source, alt: nameOf(each.source), words: each.source })}><${Picture} api=${api} project=${project} source=${each.source} alt="" px=${200} /></button>
            <figcaption>${each.anomalous ? said.missedOne : said.rejectedOne} ${value(each.probability, "share")}<br /><span class="quiet">${nameOf(each.source)}</span></figcaption>
          </figure></li>`,
        )}</ul>
      </section>
    </div>
    <${Large} api=${api} project=${project} shown=${shown} close=${() => setShown(undefined)} />`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function Model({ api, address }) {
  const version = address.path[2] ?? "";
  const { project = "" } = asked(address.hash);
  const path = /** @type {`/api/inspection/projects/${string}/models/${string}`} */ (`/api/inspection/projects/${encodeURIComponent(project)}/models/${encodeURIComponent(version)}`);
  const { answer, fault, refresh } = usePolled(api, path, (told) => told.version.status === "TRAINING");
  return html`<p class="back"><a href=${link(["inspection", "models"], { project })}>← ${said.back}</a></p>
    <${Title} lead=${project} aside=${answer && html`<${Status} version=${answer.version} />`}>${said.title(version)}<//>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${answer?.version.duel && html`<section class="card compared" aria-labelledby="compared"><h2 id="compared">${said.compared}</h2><${Duel} duel=${answer.version.duel} /></section>`}
    ${answer && !answer.measured && html`<div class="empty page"><p>${answer.version.status === "TRAINING" ? (answer.version.step ?? answer.version.message) : answer.version.message}</p></div>`}
    ${answer?.measured && html`<${Measurements} api=${api} project=${project} version=${version} measured=${answer.measured} refresh=${refresh} />`}
    ${answer?.notes.length > 0 && html`<section class="card below" aria-labelledby="notes"><h2 id="notes">${said.trainingNotes}</h2><ul>${answer.notes.map((each) => html`<li key=${each}>${each}</li>`)}</ul></section>`}
    ${answer?.card && html`<details class="card below"><summary>${said.card}</summary><pre tabindex="0">${answer.card}</pre></details>`}`;
}
