// A page of reports: asks the API for all of them at once, again whenever the filters in the address change.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Card } from "./card.js";
import { Filters } from "./filters.js";
import { bytes, counted, natural, time } from "./format.js";
import { html } from "./html.js";
import { alias, records } from "./report.js";

const isOptions = (visual) => visual.type === "options";

export function Dashboard({ api, page, address, go }) {
  const [layout, setLayout] = useState();
  const [outcomes, setOutcomes] = useState({});
  const [fault, setFault] = useState();
  const [busy, setBusy] = useState(true);
  const [attempt, setAttempt] = useState({ count: 0, fresh: false });
  const asked = useRef(new Set());
  const path = `/api/dashboards/${page.dashboard}`;
  const { filters } = address;
  const chosen = JSON.stringify(filters);

  useEffect(() => {
    const stop = new AbortController();
    const ask = async () => {
      setBusy(true);
      setFault(undefined);
      try {
        const found = layout ?? (await api(path, { signal: stop.signal }));
        setLayout(found);
        // The values of filters do not depend on the filters: asked once, and again on refresh.
        const visuals = found.dashboard.visuals.filter((each) => !isOptions(each) || attempt.fresh || !asked.current.has(each.id)).map((each) => each.id);
        const told = await api(`${path}/queries`, { body: { visuals, filters, fresh: attempt.fresh }, signal: stop.signal });
        for (const each of told.outcomes) if (each.answer) asked.current.add(each.visual);
        setOutcomes((before) => ({ ...before, ...Object.fromEntries(told.outcomes.map((each) => [each.visual, each])) }));
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

  const change = (next) => go({ path: address.path, filters: next });
  const retry = async (visual) => {
    try {
      const answer = await api(`${path}/query`, { body: { visual: visual.id, filters, fresh: true } });
      setOutcomes((before) => ({ ...before, [visual.id]: { visual: visual.id, answer } }));
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
      <button type="button" onClick=${() => setAttempt({ count: attempt.count + 1, fresh: false })}>Try again</button>
      ${Object.keys(filters).length > 0 && html` <button type="button" onClick=${() => change({})}>Clear all filters</button>`}
    </div>`;

  const visuals = layout?.dashboard.visuals.filter((each) => !isOptions(each)) ?? [];
  const titles = Object.fromEntries((layout?.dashboard.filters ?? []).map((each) => [each.id, each.title]));
  const answers = visuals.map((each) => outcomes[each.id]?.answer).filter(Boolean);
  const failed = visuals.filter((each) => outcomes[each.id]?.error).length;
  const oldest = answers.map((each) => each.as_of).sort()[0];
  const reused = Math.max(0, ...answers.filter((each) => each.cached).map((each) => each.max_age_minutes));
  const read = answers.reduce((all, each) => all + each.bytes_scanned, 0);
  const nothing = !busy && answers.length > 0 && Object.keys(filters).length === 0 && answers.every((each) => each.rows.length === 0 || each.rows.every((row) => row.every((cell) => !cell)));
  return html`<div class="title">
      <div><h1 tabindex="-1">${page.title}</h1><p class="quiet">${layout?.dashboard.description ?? ""}</p></div>
      <div class="freshness">
        <p role="status">${busy ? "Loading reports…" : oldest && html`As of <time datetime=${oldest}>${time(oldest)}</time>${reused ? `, some up to ${counted(reused, "minutes")} older` : ""} · ${counted(answers.length, "reports")}${failed ? `, ${failed} failed` : ""} · ${bytes(read)} read`}</p>
        <button type="button" disabled=${busy} onClick=${() => setAttempt({ count: attempt.count + 1, fresh: true })}>Refresh</button>
      </div>
    </div>
    ${layout && html`<${Filters} controls=${layout.dashboard.filters} options=${options} filters=${filters} change=${change} />`}
    ${nothing &&
    html`<div class="empty page"><h2>There is no data yet</h2>
      <p>Reports appear after the Glue workflow SMGT-Glue-Workflow has run over a labeling job's output: run it, or wait for its schedule, then refresh.</p></div>`}
    <div class="grid">
      ${visuals.map((visual) => html`<${Card} key=${visual.id} slug=${page.dashboard} visual=${visual} dataset=${layout.datasets[visual.dataset]} outcome=${outcomes[visual.id]} busy=${busy} filtered=${Object.keys(filters).length > 0} titles=${titles} known=${known} retry=${() => retry(visual)} clear=${() => change({})} />`)}
    </div>`;
}
