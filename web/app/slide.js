// One slide: deep zoom, its tiles with their scores as a heatmap above, and where a reader is, in the address.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { outcome } from "./cohort.js";
import { library, open, placed, tileSource } from "./deep-zoom.js";
import { Download } from "./files.js";
import { bytes, value } from "./format.js";
import { html } from "./html.js";
import { Badge, Problem } from "./parts.js";
import { asked, link } from "./route.js";
import { text } from "./strings.js";
import { highest, paint, scaleBar, tilesOf, tone } from "./tiles.js";

const said = text.slide;
const OPACITY = 45; // %, at first
const BAR_PX = 140;
const BUSY = [429, 503]; // a viewer asks for more tiles at once than the API may take
const RETRIES = 4;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const lengthOf = ({ length, unit }) => (unit === "mm" ? said.millimetres(length) : said.micrometres(length));

/** @typedef {import("../types/api").SlidePage} SlidePage */

function Facts({ page }) {
  const { slide } = page;
  const right = outcome(slide);
  const facts = {
    run: html`<a href=${link(["runs", "slides", page.run])}>${page.run}</a>`,
    patient: slide.patient,
    label: slide.label,
    split: text.slides.splits[slide.split],
    ...(slide.predicted && { predicted: html`${slide.predicted} <${Badge} state=${right ? "succeeded" : "failed"} label=${right ? text.cohort.right : text.cohort.wrong} />`, score: value(slide.score, "share") }),
    size: said.size(value(page.width, "count"), value(page.height, "count")),
    power: page.objective_power ? said.power(page.objective_power) : said.unknown,
    mpp: page.mpp ? said.mpp(value(page.mpp, "number")) : said.unknown,
    tiles: slide.tiles === null ? "–" : text.cohort.tiles(value(slide.kept, "count"), value(slide.tiles, "count")),
  };
  return html`<dl class="particulars">${Object.entries(facts).map(([name, each]) => html`<div key=${name}><dt>${said.facts[name]}</dt><dd>${each}</dd></div>`)}</dl>`;
}

function Readout({ tile, classes }) {
  return html`<section class="readout" aria-labelledby="tile">
    <h2 id="tile">${said.tile}</h2>
    <div aria-live="polite">
      ${!tile
        ? html`<p class="quiet">${said.noTile}</p>`
        : html`<p>${said.tilePlace(tile.column + 1, tile.row + 1)} <span class="quiet">${said.tileAt(tile.x, tile.y)}</span></p>
            <p class="quiet">${tile.kept ? said.tileKept(value(tile.background, "share")) : said.tileDropped}</p>
            ${tile.scores ? html`<dl>${classes.map((name, i) => html`<div key=${name}><dt>${name}</dt><dd>${value(tile.scores[i], "share")}</dd></div>`)}${tile.attention !== undefined && html`<div><dt>${said.attention}</dt><dd>${value(tile.attention, "number")}</dd></div>`}</dl>` : tile.kept && html`<p class="quiet">${said.noScore}</p>`}`}
    </div>
  </section>`;
}

// The colours of the heatmap between 0 and 1.
function Ramp({ name }) {
  const canvas = useRef();
  useEffect(() => {
    const context = canvas.current.getContext("2d");
    for (let x = 0; x < 160; x += 1) {
      context.fillStyle = tone(x / 159);
      context.fillRect(x, 0, 1, 12);
    }
  }, []);
  return html`<p class="ramp"><span aria-hidden="true">0</span><canvas ref=${canvas} width="160" height="12" role="img" aria-label=${said.ramp(name)}></canvas><span aria-hidden="true">1</span></p>`;
}

function Highest({ tiles, classes, shown, show }) {
  const name = classes[shown];
  return html`<section class="card" aria-labelledby="top">
    <header><h2 id="top">${said.top(name)}</h2></header>
    <p class="quiet">${said.topLead}</p>
    <div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.top(name))}>
      <table>
        <thead><tr><th scope="col">${said.tile}</th><th scope="col" class="number">${said.score}</th><th scope="col">${said.go}</th></tr></thead>
        <tbody>${highest(tiles, shown).map((each) => html`<tr key=${`${each.column} ${each.row}`}><th scope="row">${said.tilePlace(each.column + 1, each.row + 1)}</th><td class="number">${value(each.scores[shown], "share")}</td><td><button type="button" aria-label=${said.goTo(each.column + 1, each.row + 1)} onClick=${() => show(each)}>${said.go}</button></td></tr>`)}</tbody>
      </table>
    </div>
  </section>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Board({ api, run, page, chosen, keep }) {
  const classes = page.scores?.classes ?? [];
  const unscored = page.slide.split === "test" ? "test" : "seen"; // why there is no score, where there is none
  const known = useMemo(() => tilesOf(page), [page]);
  const named = classes.indexOf(chosen.class ?? page.slide.predicted ?? classes[0]);
  const [how, setHow] = useState({ shown: classes.length ? Math.max(named, chosen.class === "none" ? -1 : 0) : -1, opacity: Number(chosen.opacity ?? OPACITY), outlined: chosen.tiles === "yes" });
  const [tile, setTile] = useState();
  const [walking, setWalking] = useState(false);
  const [fault, setFault] = useState();
  const [ready, setReady] = useState(false);
  const parts = useRef(/** @type {any} */ ({}));
  const [element, navigator, canvas, bar] = [useRef(), useRef(), useRef(), useRef()];
  const drawn = useRef(/** @type {any} */ ({}));
  drawn.current = { ...how, tile, walking };

  const repaint = useCallback(() => {
    const { viewer, OSD } = parts.current;
    const surface = canvas.current;
    if (!viewer?.viewport || !viewer.world.getItemCount() || !surface) return;
    const [width, height, dense] = [element.current.clientWidth, element.current.clientHeight, globalThis.devicePixelRatio || 1];
    if (surface.width !== Math.round(width * dense) || surface.height !== Math.round(height * dense)) Object.assign(surface, { width: Math.round(width * dense), height: Math.round(height * dense) });
    const context = surface.getContext("2d");
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, width, height);
    const view = { ...placed(OSD, viewer, page.width), width, height };
    const { shown, opacity, outlined, tile: picked } = drawn.current;
    paint(context, known, view, { shown, opacity: opacity / 100, outlined, chosen: picked });
    if (page.mpp && bar.current) {
      const found = scaleBar(page.mpp, view.scale, BAR_PX);
      bar.current.firstElementChild.style.width = `${found.pixels}px`;
      bar.current.lastElementChild.textContent = lengthOf(found);
    }
  }, [page, known]);

  const show = useCallback((found) => {
    const { viewer, OSD } = parts.current;
    setTile(found);
    if (!viewer?.viewport) return;
    const middle = viewer.viewport.imageToViewportCoordinates(new OSD.Point(found.x + known.span / 2, found.y + known.span / 2));
    if (!viewer.viewport.getBounds(true).containsPoint(middle)) viewer.viewport.panTo(middle);
  }, [known]);

  useEffect(() => {
    let gone = false;
    let viewer;
    const left = new AbortController();
    const begin = async () => {
      const OSD = await library();
      if (gone) return;
      const fetchTile = async (level, column, row, signal, again = 1) => {
        try {
          return await api(/** @type {const} */ (`/api/slides/${run}/slides/${encodeURIComponent(page.slide.slide)}/tiles/${page.version}/${level}/${column}/${row}`), { blob: true, signal: AbortSignal.any([signal, left.signal]) });
        } catch (error) {
          if (BUSY.includes(error.status) && again <= RETRIES && !signal.aborted) {
            await new Promise((wait) => setTimeout(wait, again * 1000));
            return fetchTile(level, column, row, signal, again + 1);
          }
          if (error.name !== "AbortError") setFault(error);
          throw error;
        }
      };
      viewer = open({ library: OSD, element: element.current, navigator: navigator.current, source: tileSource(OSD, page, fetchTile), still: matchMedia("(prefers-reduced-motion: reduce)").matches });
      parts.current = { viewer, OSD };
      viewer.addHandler("open", () => {
        const { x, y, z } = chosen;
        if ([x, y, z].every((each) => Number(each) > 0)) {
          viewer.viewport.zoomTo(viewer.viewport.imageToViewportZoom(Number(z)), undefined, true);
          viewer.viewport.panTo(viewer.viewport.imageToViewportCoordinates(new OSD.Point(Number(x), Number(y))), true);
        }
        viewer.canvas.setAttribute("role", "application");
        viewer.canvas.setAttribute("aria-label", said.viewer(page.slide.slide));
        setReady(true);
        repaint();
      });
      for (const event of ["update-viewport", "resize"]) viewer.addHandler(event, repaint);
      const settle = () => {
        const middle = viewer.viewport.viewportToImageCoordinates(viewer.viewport.getCenter(true));
        keep({ x: Math.round(middle.x), y: Math.round(middle.y), z: viewer.viewport.viewportToImageZoom(viewer.viewport.getZoom(true)).toPrecision(4) });
      };
      viewer.addHandler("animation-finish", settle);
      const under = (position) => {
        const spot = viewer.viewport.viewerElementToImageCoordinates(position);
        return known.under(spot.x, spot.y);
      };
      viewer.addHandler("canvas-click", (event) => event.quick && setTile(under(event.position)));
      parts.current.tracker = new OSD.MouseTracker({ element: viewer.container, moveHandler: (event) => !drawn.current.walking && setTile(under(event.position)) });
      viewer.addHandler("canvas-key", (event) => {
        const step = drawn.current.walking && STEPS[event.originalEvent.key];
        if (!step) return;
        event.preventDefaultAction = true;
        const from = drawn.current.tile ?? known.at(0, 0);
        const next = known.at(from.column + step[0], from.row + step[1]);
        if (next) show(next);
      });
    };
    begin().catch(() => !gone && setFault(text.faults.module));
    return () => {
      gone = true;
      left.abort();
      parts.current.tracker?.destroy();
      viewer?.destroy();
      parts.current = {};
    };
  }, [page]);

  useLayoutEffect(repaint, [how, tile]); // in the same frame as the controls, not one later
  useEffect(() => keep({ class: how.shown < 0 ? "none" : classes[how.shown], opacity: how.opacity === OPACITY ? "" : how.opacity, tiles: how.outlined ? "yes" : "" }), [how]);
  const zoom = (factor) => parts.current.viewer?.viewport.zoomBy(factor).applyConstraints();
  const walk = () => {
    setWalking(!walking);
    if (walking) return;
    if (!tile) show(known.tiles.find((each) => each.scores) ?? known.tiles.find((each) => each.kept) ?? known.tiles[0]);
    parts.current.viewer?.canvas.focus();
  };
  return html`${fault && html`<${Problem} fault=${fault} title=${fault.status !== undefined && said.failedTiles} />`}
    <div class="board zoomed">
      <div class="stage">
        <div class="deepzoom" ref=${element} data-ready=${ready ? "" : undefined}></div>
        <canvas class="overlay" ref=${canvas} aria-hidden="true"></canvas>
        <div class="navigator" ref=${navigator} aria-hidden="true"></div>
        ${page.mpp && html`<p class="scalebar" ref=${bar}><span aria-hidden="true"></span><span></span></p>`}
        ${!ready && html`<p class="loading" role="status">${said.loading}</p>`}
      </div>
      <div class="card controls-card">
        <div class="buttons" role="group" aria-label=${said.controls}>
          <button type="button" onClick=${() => zoom(1.6)}>${said.zoomIn}</button>
          <button type="button" onClick=${() => zoom(1 / 1.6)}>${said.zoomOut}</button>
          <button type="button" onClick=${() => parts.current.viewer?.viewport.goHome()}>${said.whole}</button>
        </div>
        ${classes.length > 0
          ? html`<fieldset>
              <legend>${said.heatmap}</legend>
              <label class="pick">${said.heatClass} <select onChange=${(event) => setHow({ ...how, shown: Number(event.target.value) })}>
                <option value="-1" selected=${how.shown < 0}>${said.noHeatmap}</option>
                ${classes.map((name, i) => html`<option key=${name} value=${i} selected=${how.shown === i}>${name}</option>`)}
              </select></label>
              ${how.shown >= 0 &&
              html`<label class="pick">${said.opacity} <input type="range" min="0" max="100" step="5" value=${how.opacity} aria-valuetext=${said.opacityOf(how.opacity)} onInput=${(event) => setHow({ ...how, opacity: Number(event.target.value) })} /></label>
                <${Ramp} name=${classes[how.shown]} />`}
            </fieldset>`
          : html`<p class="quiet">${said.notScored[unscored]}</p>`}
        <label class="choice"><input type="checkbox" checked=${how.outlined} onChange=${(event) => setHow({ ...how, outlined: event.target.checked })} /> ${said.showGrid}</label>
        ${how.outlined && html`<p class="quiet">${said.gridLegend}</p>`}
        <button type="button" aria-pressed=${walking ? "true" : "false"} onClick=${walk}>${said.walk}</button>
        ${walking && html`<p class="quiet">${said.walkHelp}</p>`}
        <${Readout} tile=${tile} classes=${classes} />
      </div>
    </div>
    <div class="grid below">
      ${how.shown >= 0 && html`<div class="span2"><${Highest} tiles=${known.tiles} classes=${classes} shown=${how.shown} show=${show} /></div>`}
      <section class="card span2" aria-labelledby="files">
        <header><h2 id="files">${said.files}</h2></header>
        ${page.files.length === 0 && html`<p class="quiet">${said.noFiles[unscored]}</p>`}
        <ul class="plain">${page.files.map((each) => html`<li key=${each.name}><code>${each.name.slice(each.name.lastIndexOf("/") + 1)}</code> <span class="quiet">${bytes(each.size_bytes)}</span> <${Download} api=${api} run=${run} name=${each.name}>${text.files.download}<//></li>`)}</ul>
      </section>
    </div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function Slide({ api, address }) {
  const name = address.path[2];
  const chosen = asked(address.hash);
  const [state, setState] = useState(/** @type {any} */ ({}));
  const [attempt, setAttempt] = useState(0);
  const kept = useRef(chosen);
  const run = chosen.run;
  useEffect(() => {
    if (!run || !name) return setState({ fault: said.missing });
    const stop = new AbortController();
    setState({});
    kept.current = chosen;
    api(/** @type {const} */ (`/api/slides/${run}/slides/${encodeURIComponent(name)}`), { signal: stop.signal })
      .then((page) => setState({ page }))
      .catch((fault) => fault.name !== "AbortError" && setState({ fault }));
    return () => stop.abort();
  }, [run, name, attempt]);
  // The address follows without a step in the history: going back leaves the slide.
  const keep = useCallback(
    (changed) => {
      kept.current = { ...kept.current, ...changed };
      history.replaceState(null, "", link(address.path, kept.current));
    },
    [run, name],
  );
  const { page, fault } = state;
  return html`<p class="back"><a href=${link(["slides", "cohort"], { run })}>← ${said.back}</a></p>
    <div class="title"><h1 tabindex="-1">${name ?? text.slides.none}</h1></div>
    ${fault && html`<${Problem} fault=${fault} retry=${run && name ? () => setAttempt(attempt + 1) : undefined} />`}
    ${!page && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${page && html`<${Facts} page=${page} /><${Board} key=${`${run} ${name} ${page.version}`} api=${api} run=${run} page=${page} chosen=${kept.current} keep=${keep} />`}`;
}
