// One label: drawn with every level's and every worker's version of it, and what the levels and findings say about it.
import { useEffect, useRef, useState } from "preact/hooks";
import { read, write } from "./address.js";
import { time, value, words } from "./format.js";
import { counterpart, iou, outlineOf, spanOf } from "./geometry.js";
import { html } from "./html.js";
import { labelName } from "./labels.js";
import { DASHES, Scene, SpanText, sceneOf } from "./scene.js";
import { text } from "./strings.js";
import { Symbol } from "./symbol.js";

const said = text.annotation;
const COLOURS = 8;
const UNPLACED = ["mask", "custom"]; // shapes whose place only the original file tells

// Every version of the label as a layer: levels first, then answers. Colours and dashes go round after eight.
function layersOf({ annotation, levels, answers }) {
  const isText = annotation.shape === "span";
  const versions = [
    ...levels.map((each) => {
      const focus = each.annotations.find((one) => one.annotation_id === (each.job === annotation.job ? annotation.annotation_id : each.counterpart));
      return { id: `level-${each.job}`, title: said.level(each.level, each.job), detail: each.job === annotation.job ? said.thisLabel : "", shapes: each.annotations, focus, kind: "level" };
    }),
    ...answers.map((each) => ({ id: `answer-${each.answer_id}`, title: said.answer(each.worker ?? text.shared.none, each.job), detail: "", shapes: each.shapes, focus: counterpart(annotation, each.shapes), kind: "answer" })),
  ];
  return versions.map((each, i) => ({ ...each, colour: i % COLOURS, dash: DASHES[(i + Math.floor(i / COLOURS)) % DASHES.length], context: each.shapes.filter((one) => one !== each.focus), isText }));
}

const boxText = (found) => {
  const span = spanOf(found);
  if (span) return said.span(span.start, span.end);
  if (found.left_px === null || found.left_px === undefined) return undefined;
  return `${[found.left_px, found.top_px].map((each) => value(each, "rate")).join(", ")} · ${[found.width_px, found.height_px].map((each) => value(each, "rate")).join(" × ")}`;
};

// What the levels say, side by side: rows of [name, [value of each level]], undefined where the level has no such label.
export function compared(levels) {
  const names = [...new Set(levels.flatMap(({ focus }) => Object.keys(focus?.attributes ?? {})))].sort();
  const row = (name, of) => [name, levels.map(({ focus }) => (focus ? (of(focus) ?? "") : undefined))];
  return [
    row(said.label, (each) => each.label),
    ...(levels.some(({ focus }) => focus && boxText(focus)) ? [row(said.position, boxText)] : []),
    ...names.map((name) => row(words(name), (each) => each.attributes?.[name])),
  ];
}

function Levels({ layers }) {
  const levels = layers.filter((each) => each.kind === "level");
  const rows = compared(levels);
  const differs = (cells) => new Set(cells.map((each) => each ?? null)).size > 1;
  return html`<section class="card span4" id="levels" aria-labelledby="levels-title">
    <header><h2 id="levels-title">${said.attributes}</h2></header>
    <div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.attributes)}>
      <table>
        <thead><tr><th scope="col">${said.attribute}</th>${levels.map((each) => html`<th key=${each.id} scope="col"><span class="side"><${Symbol} shape="line" colour=${each.colour} dash=${each.dash} />${each.title}</span></th>`)}</tr></thead>
        <tbody>
          ${rows.map(
            ([name, cells]) => html`<tr key=${name} class=${differs(cells) ? "differs" : ""}>
              <th scope="row">${name}${differs(cells) && html` <span class="tag">${said.differs}</span>`}</th>
              ${cells.map((each, i) => html`<td key=${i}>${each === undefined ? html`<span class="quiet">${said.absent}</span>` : each === "" ? "–" : each}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${levels.length > 1 && !rows.some(([, cells]) => differs(cells)) && html`<p class="quiet">${said.same}</p>`}
  </section>`;
}

function Answers({ annotation, layers, answers }) {
  const answered = layers.filter((each) => each.kind === "answer");
  return html`<section class="card span4" id="answers" aria-labelledby="answers-title">
    <header><h2 id="answers-title">${said.answers}</h2></header>
    ${answered.length === 0
      ? html`<p class="quiet">${said.noAnswers}</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.answers)}>
          <table>
            <thead><tr>${[said.worker, said.facts.job, said.submitted, said.label, said.overlap, text.labels.columns.attributes].map((each) => html`<th key=${each} scope="col">${each}</th>`)}</tr></thead>
            <tbody>
              ${answered.map((layer, i) => {
                const answer = answers[i];
                const overlap = layer.focus && iou(annotation, layer.focus);
                return html`<tr key=${layer.id}>
                  <th scope="row"><span class="side"><${Symbol} shape="line" colour=${layer.colour} dash=${layer.dash} />${answer.worker ?? "–"}</span></th>
                  <td>${answer.job}</td>
                  <td>${answer.submitted_at ? time(answer.submitted_at) : "–"}</td>
                  <td>${layer.focus ? layer.focus.label : html`<span class="quiet">${said.absent}</span>`}</td>
                  <td>${overlap === undefined ? "–" : value(overlap, "share")}</td>
                  <td>${Object.entries(layer.focus?.attributes ?? {}).map(([name, each]) => `${words(name)}: ${each}`).join(", ")}</td>
                </tr>`;
              })}
            </tbody>
          </table>
        </div>`}
  </section>`;
}

function Listed({ id, title, none, head, rows }) {
  return html`<section class="card span2" id=${id} aria-labelledby=${`${id}-title`}>
    <header><h2 id=${`${id}-title`}>${title}</h2></header>
    ${rows.length === 0
      ? html`<p class="quiet">${none}</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(title)}>
          <table>
            <thead><tr>${head.map((each) => html`<th key=${each} scope="col">${each}</th>`)}</tr></thead>
            <tbody>${rows.map((cells, r) => html`<tr key=${r}>${cells.map((each, i) => (i === 0 ? html`<th key=${i} scope="row">${each}</th>` : html`<td key=${i}>${each ?? "–"}</td>`))}</tr>`)}</tbody>
          </table>
        </div>`}
  </section>`;
}

function Drawing({ found, layers }) {
  const [hidden, setHidden] = useState(/** @type {string[]} */ ([]));
  const [context, setContext] = useState(true);
  const [near, setNear] = useState(false);
  const { annotation, frame } = found;
  const shown = layers.filter((each) => !hidden.includes(each.id));
  const content = annotation.shape === "span" && annotation.source_ref && !/^s3:\/\//.test(annotation.source_ref) ? annotation.source_ref : undefined;
  const scene = sceneOf(layers, frame, annotation);
  const unplaced = new Map();
  for (const layer of layers) for (const each of layer.shapes) if (!outlineOf(each) && UNPLACED.includes(each.shape)) unplaced.set(each.shape, (unplaced.get(each.shape) ?? 0) + 1);
  const others = layers.some((each) => each.context.some(outlineOf));
  const name = annotation.frame ?? annotation.source_ref?.split("/").at(-1) ?? annotation.object_id;
  const toggle = (id) => setHidden(hidden.includes(id) ? hidden.filter((each) => each !== id) : [...hidden, id]);
  return html`<section class="card span4 drawing" id="drawing" aria-labelledby="drawing-title">
    <header>
      <h2 id="drawing-title">${content ? said.text : said.drawing}</h2>
      ${scene && html`<div class="actions"><button type="button" aria-pressed=${near ? "true" : "false"} onClick=${() => setNear(!near)}>${said.zoom}</button></div>`}
    </header>
    <div class="board">
      <div class="canvas">
        ${scene && html`<${Scene} layers=${shown} scene=${scene} near=${near} context=${context} label=${said.drawn(name, shown.length)} />`}
        ${content && html`<${SpanText} layers=${shown} content=${content} />`}
        ${!scene && !content && html`<p class="empty">${annotation.shape === "span" ? said.textUnknown : said.nothingDrawn}</p>`}
      </div>
      <fieldset class="layers">
        <legend>${said.layers}</legend>
        ${layers.map(
          (each) => html`<label key=${each.id} class="choice">
            <input type="checkbox" checked=${!hidden.includes(each.id)} onChange=${() => toggle(each.id)} />
            <${Symbol} shape="line" colour=${each.colour} dash=${each.dash} />
            <span>${each.title}${each.detail && html` <em>(${each.detail})</em>`} <span class="quiet">${each.focus ? said.shapes(each.shapes.length) : said.lacks(each.shapes.length)}</span></span>
          </label>`,
        )}
        ${others && html`<label class="choice rule"><input type="checkbox" checked=${context} onChange=${() => setContext(!context)} /> <span>${said.contextToggle}</span></label>`}
      </fieldset>
    </div>
    <footer>
      ${scene && html`<p class="quiet">${scene.above ? said.topView : (scene.whole ? said.told : said.untold)(value(frame.width_px, "count"), value(frame.height_px, "count"))}</p>`}
      ${[...unplaced].map(([shape, count]) => html`<p key=${shape} class="notice">${said.notDrawable(shape, count)}</p>`)}
    </footer>
  </section>`;
}

export function Annotation({ api, address }) {
  const [found, setFound] = useState();
  const [fault, setFault] = useState();
  const [attempt, setAttempt] = useState(0);
  const heading = useRef();
  const id = address.path[2] ?? "";
  useEffect(() => {
    const stop = new AbortController();
    setFound(undefined);
    setFault(undefined);
    api(`/api/annotations/${encodeURIComponent(id)}`, { signal: stop.signal })
      .then((each) => setFound(each))
      .catch((error) => error.name !== "AbortError" && setFault(error));
    return () => stop.abort();
  }, [id, attempt]);
  useEffect(() => {
    // A reader who came by a link of the list, which is gone now, goes on reading here.
    if (found && document.activeElement === document.body) heading.current?.focus();
  }, [found]);

  const from = address.view?.from ? read(`#/${address.view.from}`) : { path: [address.path[0], "labels"], filters: found ? { job: [found.annotation.job], object_id: [found.annotation.object_id] } : {} };
  const back = html`<p><a href=${write(from)}>← ${text.labels.back(text.labels.title)}</a></p>`;
  if (fault)
    return html`<div class="problem page" role="alert">
      <h1>${fault.status === 404 ? said.unknown : text.systems.labeling.pages.annotation}</h1>
      <p>${fault.status === 404 ? said.unknownRemedy : `${fault.message} ${fault.remedy}`}</p>
      ${fault.status !== 404 && html`<button type="button" onClick=${() => setAttempt(attempt + 1)}>${text.shared.tryAgain}</button>`}
      ${back}
    </div>`;
  if (!found) return html`<p class="loading" role="status">${text.shared.loading}</p>`;
  const { annotation } = found;
  const layers = layersOf(found);
  const facts = [
    ["job", annotation.job],
    ["level", annotation.level],
    ["object", annotation.object_id],
    ["frame", annotation.frame ? `${annotation.frame_no}: ${annotation.frame}` : annotation.frame_no],
    ["shape", annotation.shape],
    ["workers", annotation.workers?.join(", ")],
    ["verdict", annotation.verdict],
    ["confidence", annotation.confidence === null ? undefined : value(annotation.confidence, "number")],
    ["created", annotation.created_at && time(annotation.created_at)],
  ].filter(([, each]) => each !== null && each !== undefined && each !== "");
  const frameAttributes = Object.entries(found.frame.attributes ?? {});
  return html`<div class="title">
      <div>${back}<h1 tabindex="-1" ref=${heading}>${labelName(annotation)}</h1></div>
      <div class="freshness"><p role="status">${text.shared.as_of} ${time(found.as_of)}</p></div>
    </div>
    <dl class="particulars">${facts.map(([name, each]) => html`<div key=${name}><dt>${said.facts[name]}</dt><dd>${each}</dd></div>`)}</dl>
    <div class="grid">
      <${Drawing} key=${id} found=${found} layers=${layers} />
      <${Levels} layers=${layers} />
      <${Answers} annotation=${annotation} layers=${layers} answers=${found.answers} />
      <${Listed}
        id="issues"
        title=${said.issues}
        none=${said.noIssues}
        head=${[said.issue, said.of, said.frames, said.detail]}
        rows=${found.issues.map((each) => [words(each.issue), each.instance_name ?? each.instance_id, each.last_frame_no !== null && each.last_frame_no !== each.frame_no ? `${each.frame_no}–${each.last_frame_no}` : each.frame_no, each.detail])}
      />
      <${Listed}
        id="adjustments"
        title=${said.adjustments}
        none=${said.noAdjustments}
        head=${[said.change, said.before, said.after, said.overlap, said.auditor]}
        rows=${found.adjustments.map((each) => [`${words(each.change)}${each.attribute ? `: ${words(each.attribute)}` : ""}`, each.attribute ? each.base_value : each.base_label, each.attribute ? each.value : each.label, each.iou === null ? undefined : value(each.iou, "share"), each.auditor])}
      />
      ${frameAttributes.length > 0 && html`<section class="card span2"><h2>${said.frameAttributes}</h2><dl>${frameAttributes.map(([name, each]) => html`<div key=${name}><dt>${words(name)}</dt><dd>${each}</dd></div>`)}</dl></section>`}
    </div>`;
}
