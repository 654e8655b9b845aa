// A page of reports: asks the API for all of them at once, again whenever the filters in the address change.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { choices, write } from "./address.js";
import { Card } from "./card.js";
import { Compare, pair } from "./compare.js";
import { Filters, chipText } from "./filters.js";
import { natural } from "./format.js";
import { Freshness, RefreshState, useRefreshState } from "./freshness.js";
import { html } from "./html.js";
import { remembered } from "./labels.js";
import { alias, isByBatch, records } from "./report.js";
import { drilled, isChosen, offered, toggled } from "./select.js";
import { text } from "./strings.js";

const MOST_AT_ONCE = 32; // visuals that the API takes in one request
const isOptions = (visual) => visual.type === "options";

// The filters that the page has a control for: others, of other pages, would narrow it unseen.
const applicable = (controls, filters) => Object.fromEntries(Object.entries(filters).filter(([name]) => controls.some((each) => each.id === name)));

export function Dashboard({ api, page, address, go }) {
  const [layout, setLayout] = useState();
  const [outcomes, setOutcomes] = useState({});
  const [fault, setFault] = useState();
  const [busy, setBusy] = useState(true);
  const [attempt, setAttempt] = useState({ count: 0, fresh: false });
  const asked = useRef(new Set());
  const path = `/api/dashboards/${page.dashboard}`;
  const { filters, view = {} } = address;
  const names = pair(view);
  const chosen = JSON.stringify([filters, names]);
  const again = (fresh) => setAttempt((before) => ({ count: before.count + 1, fresh }));
  const state = useRefreshState(api, attempt.count, () => again(true));

  // What to ask for these visuals: { visuals, filters, compare? }, each within what the API takes.
  const questions = ({ dashboard, datasets }, wanted) => {
    const applied = applicable(dashboard.filters, filters);
    const together = names && wanted.filter((each) => isByBatch(each, datasets[each.dataset]));
    const asked = names
      ? [
          [together, { filters: { ...applied, batch: names } }],
          [wanted.filter((each) => !together.includes(each)), { filters: { ...applied, batch: [names[0]] }, compare: { ...applied, batch: [names[1]] } }],
        ]
      : [[wanted, { filters: applied }]];
    return asked.flatMap(([visuals, question]) =>
      Array.from({ length: Math.ceil(visuals.length / MOST_AT_ONCE) }, (_, i) => ({ visuals: visuals.slice(i * MOST_AT_ONCE, (i + 1) * MOST_AT_ONCE).map((each) => each.id), ...question })),
    );
  };

  useEffect(() => {
    const stop = new AbortController();
    const ask = async () => {
      setBusy(true);
      setFault(undefined);
      try {
        const found = layout ?? (await api(path, { signal: stop.signal }));
        setLayout(found);
        // The values of filters do not depend on the filters: asked once, and again on refresh.
        const wanted = found.dashboard.visuals.filter((each) => !isOptions(each) || attempt.fresh || !asked.current.has(each.id));
        const told = await Promise.all(questions(found, wanted).map((each) => api(`${path}/queries`, { body: { ...each, fresh: attempt.fresh }, signal: stop.signal })));
        const fresh = told.flatMap((each) => each.outcomes);
        for (const each of fresh) if (each.answer) asked.current.add(each.visual);
        setOutcomes((before) => ({ ...before, ...Object.fromEntries(fresh.map((each) => [each.visual, each])) }));
        setBusy(false);
      } catch (error) {
        if (error.name === "AbortError") return;
        setFault(error);
        setBusy(false);
      }
    };
    ask();
    return () => stop.abort();
  }, [path, chosen, attempt]);

  const options = useMemo(() => {
    const found = {};
    for (const control of layout?.dashboard.filters ?? []) {
      const answer = control.options && outcomes[control.options]?.answer;
      if (!answer) continue;
      const rows = records(answer);
      if (control.type === "attributes") {
        found[control.id] = {};
        for (const { attribute, value } of rows) (found[control.id][attribute] ??= []).push(value);
        for (const values of Object.values(found[control.id])) values.sort(natural);
      } else found[control.id] = rows.map((each) => each[answer.columns[0].name]).filter((each) => each !== null).sort(natural);
    }
    return found;
  }, [layout, outcomes]);

  const change = (next) => go({ ...address, filters: next });
  const retry = async (visual) => {
    try {
      const told = await api(`${path}/queries`, { body: { ...questions(layout, [visual])[0], fresh: true } });
      setOutcomes((before) => ({ ...before, [visual.id]: told.outcomes[0] }));
    } catch (error) {
      setOutcomes((before) => ({ ...before, [visual.id]: { visual: visual.id, error } }));
    }
  };
  // All the values there are of an attribute or dimension, so that colours stay when filters change.
  const known = (reference) => (reference.includes(".") ? options[reference.split(".")[0]]?.[alias(reference)] : options[reference]) ?? [];

  if (fault)
    return html`<div class="problem page" role="alert">
      <h1>${page.title}</h1>
      <p><strong>${fault.message}</strong></p>
      <p>${fault.remedy}</p>
      <button type="button" onClick=${() => again(false)}>${text.shared.tryAgain}</button>
      ${Object.keys(filters).length > 0 && html` <button type="button" onClick=${() => change({})}>${text.reports.clearAll}</button>`}
    </div>`;

  const controls = layout?.dashboard.filters ?? [];
  const visuals = layout?.dashboard.visuals.filter((each) => !isOptions(each)) ?? [];
  const titles = Object.fromEntries(controls.map((each) => [each.id, each.title]));
  const applied = applicable(controls, filters);
  const filtered = Object.keys(applied).length > 0;
  const answers = visuals.map((each) => outcomes[each.id]?.answer).filter(Boolean);
  const failed = visuals.filter((each) => outcomes[each.id]?.error).length;
  const nothing = !busy && answers.length > 0 && !filtered && answers.every((each) => each.rows.length === 0 || each.rows.every((row) => row.every((cell) => !cell)));
  const choice = {
    // A batch cannot be picked while two are compared: the comparison is that choice.
    offers: (pick) => offered(controls, pick) && !(names && pick.name === "batch"),
    has: (pick) => isChosen(applied, pick),
    choose: (picks, added) => {
      const all = picks.every((pick) => isChosen(filters, pick));
      change(picks.reduce((found, pick) => (isChosen(found, pick) === all ? toggled(found, pick, added) : found), filters));
    },
  };
  const drill = (visual, row) => {
    const side = row?.side ?? undefined;
    const found = row ? drilled(visual, layout.datasets[visual.dataset], applied, row) : applied;
    return write({ path: [address.path[0], "labels"], filters: side ? { ...found, batch: [side] } : found, view: { from: remembered(address) } });
  };
  const chips = (unapplied) => choices(applied).filter((each) => !unapplied.includes(each.attribute ? `${each.name}.${each.attribute}` : each.name)).map((each) => chipText(titles, each));
  return html`<div class="title">
      <div><h1 tabindex="-1">${page.title}</h1><p class="quiet">${layout?.dashboard.description ?? ""}</p><${RefreshState} state=${state} /></div>
      <${Freshness} answers=${answers} failed=${failed} busy=${busy} refresh=${() => again(true)} />
    </div>
    ${layout &&
    html`<${Filters} controls=${names ? controls.filter((each) => each.id !== "batch") : controls} options=${options} filters=${filters} change=${change}>
      <${Compare} batches=${options.batch ?? []} view=${view} change=${(next) => go({ ...address, view: next })} />
    <//>`}
    ${nothing &&
    html`<div class="empty page"><h2>${text.reports.noData}</h2>
      <p>${text.reports.howToFill}</p></div>`}
    <div class="grid">
      ${visuals.map(
        (visual) =>
          html`<${Card} key=${visual.id} slug=${page.dashboard} source=${page.title} visual=${visual} dataset=${layout.datasets[visual.dataset]} outcome=${outcomes[visual.id]} busy=${busy} filtered=${filtered} titles=${titles} known=${known} compared=${names} choice=${choice} drill=${drill} chips=${chips} retry=${() => retry(visual)} clear=${() => change({})} />`,
      )}
    </div>`;
}
