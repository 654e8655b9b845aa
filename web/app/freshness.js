// How fresh a page's data is: when its reports were asked, which run made the data, and what newer runs are doing.
import { useEffect, useState } from "preact/hooks";
import { ago, bytes, time } from "./format.js";
import { html } from "./html.js";
import { text } from "./strings.js";

const said = text.reports;
const EVERY = 15_000; // ms between two looks at a run under way
const OLD = 3 * 3600 * 1000; // ms: three runs of the hourly schedule did not come

/**
 * The state of the runs that make the data, followed while one is under way.
 * @param {(path: string, request?: object) => Promise<any>} api
 * @param {unknown} again asks anew when it changes
 * @param {() => void} arrived called when a run under way has brought new data
 * @returns {{ as_of: string | null, running_since: string | null, failure: { at: string, reason: string } | null } | "unknown" | undefined}
 */
export function useRefreshState(api, again, arrived) {
  const [state, setState] = useState();
  useEffect(() => {
    const stop = new AbortController();
    let timer;
    let before;
    const look = async () => {
      try {
        const found = await api("/api/state", { signal: stop.signal });
        setState(found);
        if (before?.running_since && found.as_of !== before.as_of) arrived();
        before = found;
        if (found.running_since) timer = setTimeout(look, EVERY);
      } catch (error) {
        if (error.name !== "AbortError") setState("unknown");
      }
    };
    look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [again]);
  return state;
}

// `answers` are those shown, `failed` how many reports have none.
export function Freshness({ answers, failed, busy, refresh }) {
  const oldest = answers.map((each) => each.as_of).sort()[0];
  const reused = Math.max(0, ...answers.filter((each) => each.cached).map((each) => each.max_age_minutes));
  const read = answers.reduce((all, each) => all + each.bytes_scanned, 0);
  return html`<div class="freshness">
    <p role="status">${busy ? said.loadingReports : oldest && html`${text.shared.as_of} <time datetime=${oldest}>${time(oldest)}</time>${reused ? said.older(reused) : ""} · ${said.count(answers.length, failed)} · ${said.read(bytes(read))}`}</p>
    <button type="button" disabled=${busy} onClick=${refresh}>${text.shared.refresh}</button>
  </div>`;
}

// A sentence for each thing a reader should know before trusting the numbers.
export function RefreshState({ state }) {
  if (!state) return null;
  if (state === "unknown") return html`<p class="quiet run-state">${said.noState}</p>`;
  const age = state.as_of ? Date.now() - Date.parse(state.as_of) : 0;
  return html`<div class="run-state">
    <p class="quiet">${state.as_of ? said.dataOf(time(state.as_of)) : said.neverRun}</p>
    ${state.running_since && html`<p class="running">${said.running(time(state.running_since))}</p>`}
    ${state.failure && html`<p class="notice" role="alert">${(state.as_of ? said.runFailed : said.runFailedFirst)(time(state.failure.at), sentence(state.failure.reason))} <a href="#/runs">${said.openRuns}</a></p>`}
    ${!state.running_since && age > OLD && html`<p class="notice">${said.stale(ago(age))}</p>`}
  </div>`;
}

const sentence = (said) => (/[.!?]$/.test(said) ? said : `${said}.`);
