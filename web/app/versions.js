// The versions of a project's model: trained live, compared with the champion, promoted, rolled back, hosted.
import { useState } from "preact/hooks";
import { NOTHING, interval, value } from "./format.js";
import { html } from "./html.js";
import { OfProject, Outcome } from "./of-project.js";
import { Badge, Confirmed, Moment, Problem, Took, useAction } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { text } from "./strings.js";

const said = text.models;
const BADGES = { TRAINING: "running", TRAINED: "succeeded", TRAINING_FAILED: "failed", STARTING_HOSTING: "running", HOSTED: "ready", HOSTING_FAILED: "failed", STOPPING_HOSTING: "stopping", DELETING: "stopping" };
const MOVING = ["TRAINING", "STARTING_HOSTING", "STOPPING_HOSTING", "DELETING"];
const USABLE = ["TRAINED", "HOSTED", "STARTING_HOSTING", "STOPPING_HOSTING", "HOSTING_FAILED"];
const STARTABLE = ["TRAINED", "HOSTING_FAILED"];

/** @typedef {import("../types/api").Version} Version */

export const Status = ({ version }) => html`<${Badge} state=${BADGES[version.status] ?? "unknown"} label=${said.states[version.status] ?? version.status} />`;

/** The comparison of a challenger with the champion of then. @param {{ duel: NonNullable<Version["duel"]> }} props */
export function Duel({ duel }) {
  if (duel.champion === null || duel.champion === undefined) return html`<p class="quiet">${duel.words}</p>`;
  const pairs = duel.auroc && [
    [said.missed(duel.anomalies), duel.missed],
    [said.falseRejects(duel.normals), duel.false_rejects],
    [said.auroc, duel.auroc.map((each) => each.toFixed(3))],
  ];
  return html`<div class="duel">
    <p><strong>${duel.promoted ? said.promoted : said.decisions[duel.decision]}</strong> ${duel.words}</p>
    ${pairs &&
    html`<div class="scroll" tabindex="0" role="region" aria-label=${said.duelTable(duel.challenger)}><table>
      <thead><tr><th scope="col">${said.onFrozen}</th><th scope="col" class="number">${said.versionOf(duel.champion)}</th><th scope="col" class="number">${said.versionOf(duel.challenger)}</th></tr></thead>
      <tbody>${pairs.map(([name, [before, after]]) => html`<tr key=${name}><th scope="row">${name}</th><td class="number">${before}</td><td class="number">${after}</td></tr>`)}</tbody>
    </table></div>`}
  </div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, project, path }) {
  const where = /** @type {`/api/inspection/projects/${string}/models`} */ (`${path}/models`);
  const { answer, fault, refresh } = usePolled(api, where, (told) => told.versions.some((each) => MOVING.includes(each.status)));
  const [asked, setAsked] = useState({ to: "", body: undefined, words: "" });
  const perform = useAction(async () => {
    const { to, body } = asked;
    const done = await api(/** @type {`/api/inspection/projects/${string}/train`} */ (`${path}/${to}`), { method: "POST", body });
    setAsked({ to, body, words: done.words });
    refresh();
  });
  // The action takes what was asked for last: it is set before it acts.
  const act = (to, body) => () => {
    Object.assign(asked, { to, body, words: "" });
    perform.act();
  };
  if (!answer) return fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`;
  const { versions, champion, may_change: may } = answer;
  const isChampion = (each) => champion?.version === each.version;
  const actions = (each) => html`
    ${USABLE.includes(each.status) && !isChampion(each) && html`<${Confirmed} label=${said.promote} question=${said.promoteQuestion(each.version)} meaning=${said.promoteMeaning} yes=${said.promoteYes} no=${text.shared.cancel} act=${act("promote", { version: each.version })} busy=${perform.busy && said.promote} />`}
    ${STARTABLE.includes(each.status) && html`<button type="button" disabled=${perform.busy} onClick=${act("host", { version: each.version, running: true })} aria-label=${said.startOf(each.version)}>${said.start}</button>`}
    ${each.status === "HOSTED" && html`<${Confirmed} label=${said.stop} question=${said.stopQuestion(each.version)} meaning=${said.stopMeaning} yes=${said.stop} no=${text.shared.cancel} act=${act("host", { version: each.version, running: false })} busy=${perform.busy && said.stop} />`}
    ${USABLE.includes(each.status) && html`<${Confirmed} label=${said.freeze} question=${said.freezeQuestion(each.version)} meaning=${said.freezeMeaning} yes=${said.freezeYes} no=${text.shared.cancel} act=${act("freeze", { version: each.version })} busy=${perform.busy && said.freeze} />`}`;
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <${Outcome} action=${perform} words=${asked.words} />
    <div class="controls">
      ${may
        ? html`<button type="button" class="primary" disabled=${perform.busy} onClick=${act("train", undefined)}>${said.train}</button>
            ${champion?.before && html`<${Confirmed} label=${said.rollBack(champion.before)} question=${said.rollBackQuestion(champion.before)} meaning=${said.rollBackMeaning} yes=${said.rollBackYes} no=${text.shared.cancel} act=${act("rollback", undefined)} busy=${perform.busy && said.rollBackYes} />`}`
        : html`<p class="quiet">${text.shared.onlyAdmins}</p>`}
      ${champion && html`<p>${said.championSince(champion.version)} <${Moment} at=${champion.since} />: <span class="quiet">${champion.reason}</span></p>`}
    </div>
    ${!versions.length && html`<div class="empty page"><p>${said.none}</p></div>`}
    <ol class="plain versions">${versions.map(
      (each) => html`<li key=${each.version} class="card">
        <header><h2><a href=${link(["inspection", "model", String(each.version)], { project })}>${said.versionOf(each.version)}</a></h2><span class="states">${isChampion(each) && html`<span class="tag good">${said.champion}</span>`}<${Status} version=${each} /></span></header>
        ${each.description && html`<p class="quiet">${each.description}</p>`}
        <dl>
          <div><dt>${said.created}</dt><dd><${Moment} at=${each.created} /></dd></div>
          <div><dt>${said.took}</dt><dd>${each.status === "TRAINING" || each.seconds !== null ? html`<${Took} from=${each.created} seconds=${each.status === "TRAINING" ? null : each.seconds} />` : NOTHING}</dd></div>
          ${["f1", "precision", "recall"].map((name) => each[name] !== null && html`<div key=${name}><dt>${said.figures[name]}</dt><dd>${value(each[name], "share")}${name === "f1" && each.f1_interval && html` <span class="bounds">${text.reports.interval} ${interval(each.f1_interval[0], each.f1_interval[1], "share")}</span>`}</dd></div>`)}
          ${each.photographs !== null && html`<div><dt>${said.measuredOn}</dt><dd>${said.photographs(value(each.photographs, "count"), value(each.anomalies, "count"))}</dd></div>`}
        </dl>
        ${each.status === "TRAINING" && html`<p role="status">${each.step ?? said.waiting} <a href=${link(["runs", "inspection", `${project}-${each.version}`])}>${said.follow}</a></p>`}
        ${each.status.endsWith("FAILED") && html`<p class="problem">${each.message}</p>`}
        ${each.duel && html`<${Duel} duel=${each.duel} />`}
        ${may && html`<div class="buttons">${actions(each)}</div>`}
      </li>`,
    )}</ol>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Models = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
