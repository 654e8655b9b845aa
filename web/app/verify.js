// People say whether the model is right: the photographs of a trial, and those of a belt that wait for a person.
import { useEffect, useRef, useState } from "preact/hooks";
import { value } from "./format.js";
import { html } from "./html.js";
import { OfProject, Outcome } from "./of-project.js";
import { Badge, Moment, Problem, useAction } from "./parts.js";
import { REFUSED, changing } from "./photo-dataset.js";
import { Large, Picture, Shots, nameOf } from "./photographs.js";
import { usePolled } from "./poll.js";
import { link, request } from "./route.js";
import { text } from "./strings.js";

const said = text.verify;
const SURE = ["reject", "accept"]; // verdicts that nobody was asked about
const FIND = 255; // characters that a search takes
const KEYS = { c: true, i: false };

/** @typedef {import("../types/api").Verdict} Verdict */

export const told = (each) => said.says(said.labels[each.is_anomalous ? "anomaly" : "normal"], value(each.confidence, "share"));
// What the masks show: of an item that is called normal, no anomaly. A kind that is called "anomaly" tells nothing more.
export const signs = (each) => {
  const kinds = each.labels.filter((name) => !/^anomal(y|ous)$/i.test(name));
  return kinds.length > 0 && (each.is_anomalous ? said.shows : said.weak)(kinds.join(", "));
};
const truthOf = (each, correct) => (each.is_anomalous === correct ? "anomaly" : "normal");

// What was said of photographs in this visit, by key; each is told to the API at once, one after another.
function useVerification(api, path, where) {
  const [answers, setAnswers] = useState(/** @type {Record<string, { correct: boolean, fault?: any, kept?: boolean }>} */ ({}));
  const queue = useRef(Promise.resolve());
  const say = (key, correct) => {
    setAnswers((before) => ({ ...before, [key]: { correct } }));
    const settle = (outcome) => setAnswers((before) => (before[key]?.correct === correct ? { ...before, [key]: { correct, ...outcome } } : before));
    queue.current = queue.current
      .then(() => api(/** @type {`/api/inspection/projects/${string}/verify`} */ (`${path}/verify`), { body: { where, keys: [key], correct } }))
      .then(() => settle({ kept: true }))
      .catch((fault) => settle({ fault }));
  };
  return { answers, say, faults: Object.values(answers).filter((each) => each.fault).map((each) => each.fault) };
}

// What became of an addition: the answer that the page had when it was asked for says nothing of it yet.
function fate({ count, of }, answer) {
  const { status, message } = answer.dataset;
  if (changing(status)) return said.adding(count);
  if (status === REFUSED) return said.refused(message);
  return answer === of ? said.adding(count) : said.wasAdded(count);
}

function AddVerified({ api, path, project, answer, verified, may, done }) {
  const [sent, setSent] = useState();
  const add = useAction(async () => {
    const { count } = await api(/** @type {`/api/inspection/projects/${string}/add`} */ (`${path}/add`), { method: "POST" });
    setSent({ count, of: answer });
    done();
  });
  const words = sent && answer?.dataset ? fate(sent, answer) : "";
  const [trained, setTrained] = useState("");
  const train = useAction(async () => setTrained((await api(/** @type {`/api/inspection/projects/${string}/train`} */ (`${path}/train`), { method: "POST" })).words));
  return html`<${Outcome} action=${add} words=${words} />
    <${Outcome} action=${train} words=${trained} />
    <div class="controls">
      <p role="status">${said.verified(verified)}</p>
      ${may && html`<button type="button" class="primary" disabled=${!verified || add.busy} onClick=${add.act}>${said.add}</button>`}
      ${may && html`<button type="button" disabled=${train.busy} onClick=${train.act}>${said.train}</button>`}
      <a href=${link(["inspection", "models"], { project })}>${said.models}</a>
    </div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Queue({ api, project, path, where, list, empty, leaves, tell, checked, sent = 0 }) {
  const { answer, fault, refresh } = usePolled(api, /** @type {`/api/inspection/projects/${string}/review`} */ (list), (told) => changing(told.dataset?.status ?? "") || told.verdicts.length < sent);
  const { answers, say, faults } = useVerification(api, path, where);
  const [bare, setBare] = useState(false);
  const [shown, setShown] = useState();
  const known = useRef(/** @type {Verdict[]} */ ([]));
  const keptOf = (key) => Boolean(answers[key]?.kept);
  const kept = Object.keys(answers).filter(keptOf).length;
  useEffect(() => {
    if (kept) refresh();
  }, [kept]);
  // What was verified stays where it is while the page is open, although it waits no longer: nothing jumps away.
  if (answer) {
    const listed = new Map(answer.verdicts.map((each) => [each.key, each]));
    const stay = known.current.filter((each) => listed.has(each.key) || each.key in answers).map((each) => listed.get(each.key) ?? each);
    const there = new Set(stay.map((each) => each.key));
    known.current = [...stay, ...answer.verdicts.filter((each) => !there.has(each.key))];
  }
  const verdicts = known.current;
  const may = Boolean(answer?.may_change);
  const truth = (each) => (each.key in answers ? truthOf(each, answers[each.key].correct) : each.truth);
  const correct = (each) => (truth(each) ? (truth(each) === "anomaly") === each.is_anomalous : undefined);
  const named = (each) => `${nameOf(each.source)}, ${told(each)}${truth(each) ? `, ${correct(each) ? said.correct : said.incorrect}` : ""}`;
  const open = (each) => setShown({ source: each.source, item: each.item, masked: each.masked, alt: named(each), words: [told(each), signs(each), said.verdict(text.live.verdicts[each.verdict], each.reason), each.source].filter(Boolean).join(" · ") });
  const press = (key, at, looked) => {
    const each = verdicts[at];
    if (key === "m") setBare(!bare);
    if (key === "l") open(each);
    if (key === "m" || key === "l") return true;
    if (may && key in KEYS) {
      if (!looked) return true;
      if (!each.added) say(each.key, KEYS[key]);
      return "next";
    }
    return false;
  };
  // All counts are of what is kept; those of the API's last answer may be of before.
  const left = verdicts.filter((each) => !each.truth && !keptOf(each.key)).length;
  const uncounted = (answer?.verdicts ?? []).filter((each) => !each.truth && keptOf(each.key)).length;
  const whole = answer && !answer.more;
  useEffect(() => {
    if (whole && tell) tell({ verified: verdicts.length - left, photographs: verdicts.length });
  }, [whole, left, verdicts.length]);
  if (!answer && !verdicts.length) return fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`;
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${faults.slice(-1).map((each) => html`<${Problem} fault=${each} title=${said.notKept(faults.length)} retry=${() => Object.entries(answers).forEach(([key, found]) => found.fault && say(key, found.correct))} />`)}
    <${AddVerified} api=${api} path=${path} project=${project} answer=${answer} verified=${(answer?.verified ?? 0) + uncounted} may=${may} done=${refresh} />
    ${verdicts.length < sent && html`<p class="notice" role="status">${said.runs(verdicts.length, sent)} <a href=${link(["quarantine"], { system: "inspection" })}>${said.quarantine}</a></p>`}
    ${!verdicts.length && !sent && html`<div class="empty page"><p>${empty}</p></div>`}
    ${verdicts.length > 0 &&
    html`<div class="controls"><p role="status">${checked ? said.checked(verdicts.length - left, verdicts.length) : said.left(left, verdicts.length)} ${answer?.more && (checked ? said.older : said.more)}</p><button type="button" aria-pressed=${bare ? "false" : "true"} onClick=${() => setBare(!bare)}>${said.masks}</button></div>
      <p class="quiet">${may ? said.keys : text.shared.onlyAdmins}</p>
      <${Shots} label=${said.photographs} items=${verdicts} keyOf=${(each) => each.key} named=${named} press=${press} card=${(each) => html`
        <${Picture} api=${api} project=${project} source=${each.source} item=${each.item} masked=${each.masked && !bare} alt=${named(each)} />
        <p><${Badge} state=${each.is_anomalous ? "failed" : "succeeded"} label=${told(each)} /></p>
        ${signs(each) && html`<p class="quiet">${signs(each)}</p>`}
        <p class="quiet">${said.verdict(text.live.verdicts[each.verdict], each.reason)}</p>
        <div class="buttons">
          <button type="button" tabindex="-1" disabled=${!may || each.added} aria-pressed=${correct(each) === true ? "true" : "false"} onClick=${() => say(each.key, true)}>${said.correct}</button>
          <button type="button" tabindex="-1" disabled=${!may || each.added} aria-pressed=${correct(each) === false ? "true" : "false"} onClick=${() => say(each.key, false)}>${said.incorrect}</button>
          <button type="button" tabindex="-1" class="plain" aria-label=${text.photographs.enlarge(nameOf(each.source))} onClick=${() => open(each)}>${text.photographs.large}</button>
        </div>
        <p class="quiet">${leaves ? html`${said.camera([each.line, each.camera].filter(Boolean).join(" / "))} <${Moment} at=${each.at} />` : said.file(nameOf(each.source))}${each.added && html` · ${said.added} <a href=${link(["inspection", "dataset"], { project, find: each.source.slice(-FIND) })} aria-label=${said.relabelOf(nameOf(each.source))}>${said.relabel}</a>`}</p>`} />`}
    <${Large} api=${api} project=${project} shown=${shown} close=${() => setShown(undefined)} />`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Belt({ api, project, path, chosen, address }) {
  const show = SURE.includes(chosen.show) ? chosen.show : "";
  return html`<div class="controls"><label class="pick">${said.show} <select onChange=${(event) => (location.hash = link(address.path, { project, show: event.target.value }))}>${["", ...SURE].map((each) => html`<option key=${each} value=${each} selected=${each === show}>${said.shown[each || "waiting"]}</option>`)}</select></label></div>
    <${Queue} key=${show} api=${api} project=${project} path=${path} where="line" list=${request(`${path}/review`, { show })} empty=${said.nothing[show || "waiting"]} leaves checked=${show !== ""} />`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Review = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.reviewLead} content=${Belt} />`;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Run({ api, path, done }) {
  const [trial, setTrial] = useState("");
  const [source, setSource] = useState("");
  const run = useAction(async () => done(trial.trim(), await api(/** @type {`/api/inspection/projects/${string}/trials`} */ (`${path}/trials`), { body: { trial: trial.trim(), source: source.trim() } })));
  const sent = (event) => {
    event.preventDefault();
    run.act();
  };
  return html`<details class="card import"><summary>${said.runTrial}</summary><form onSubmit=${sent}>
    <label class="pick">${said.trialName} <input type="text" required maxlength="255" pattern="[^#\\/]+" title=${said.trialPattern} value=${trial} onInput=${(event) => setTrial(event.target.value)} /></label>
    <label class="pick">${said.trialSource} <input type="text" required placeholder="s3://" pattern="s3://[a-z0-9][a-z0-9.\\-]+(/.*)?" value=${source} onInput=${(event) => setSource(event.target.value)} /></label>
    <button type="submit" disabled=${run.busy}>${said.runTrial}</button>
    ${run.fault && html`<${Problem} fault=${run.fault} />`}
  </form></details>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Trials({ api, project, path, chosen, address }) {
  const { answer, fault, refresh } = usePolled(api, /** @type {`/api/inspection/projects/${string}`} */ (path));
  const [sent, setSent] = useState(/** @type {Record<string, { words: string, count: number }>} */ ({}));
  const [counted, setCounted] = useState({ trial: "", verified: 0, photographs: 0 });
  const trials = answer?.trials ?? [];
  const trial = chosen.trial ?? trials[0]?.name;
  const to = (name) => link(address.path, { project, trial: name });
  const listed = !trial || trials.some((each) => each.name === trial) ? trials : [...trials, { name: trial, photographs: 0, verified: 0 }];
  const countedOf = (each) => (counted.trial === each.name ? counted : each);
  return html`${fault && !trial && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${sent[trial] && html`<p class="done" role="status">${sent[trial].words}</p>`}
    ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${listed.length > 0 &&
    html`<div class="controls"><label class="pick">${said.trial} <select onChange=${(event) => (location.hash = to(event.target.value))}>${listed.map((each) => html`<option key=${each.name} value=${each.name} selected=${each.name === trial}>${said.trialOf(each.name, countedOf(each).verified, countedOf(each).photographs)}</option>`)}</select></label></div>`}
    ${answer?.may_change && html`<${Run} api=${api} path=${path} done=${(name, { words, count }) => {
      setSent((before) => ({ ...before, [name]: { words, count: count ?? 0 } }));
      refresh();
      location.hash = to(name);
    }} />`}
    ${answer && !trial && html`<div class="empty page"><p>${said.noTrials}</p><p>${said.howToTry(answer.drop.replace("/incoming/", "/new-data/"))}</p></div>`}
    ${trial && html`<${Queue} key=${trial} api=${api} project=${project} path=${path} where="trial" list=${`${path}/trials/${encodeURIComponent(trial)}`} sent=${sent[trial]?.count} empty=${said.emptyTrial} tell=${(found) => setCounted({ trial, ...found })} />`}`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Trial = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.trialLead} content=${Trials} />`;
