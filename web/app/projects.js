// The projects of the inspection system: what each has to learn from, what answers, and what waits for a person.
import { useState } from "preact/hooks";
import { value } from "./format.js";
import { html } from "./html.js";
import { Outcome } from "./of-project.js";
import { Badge, Moment, Problem, Title, useAction } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { text } from "./strings.js";

const said = text.projects;
const PATH = /** @type {const} */ ("/api/inspection/projects");

/** @typedef {import("../types/api").Project} Project */

/** @param {{ project: Project }} props */
function Card({ project }) {
  const to = (page, more = {}) => link(["inspection", page], { project: project.name, ...more });
  const datasets = project.datasets.map((each) => html`<div key=${each.kind}><dt>${text.inspection.kinds[each.kind]}</dt><dd><a href=${to("dataset", { kind: each.kind })}>${said.counted(value(each.total, "count"), value(each.anomaly, "count"))}</a></dd></div>`);
  const others = project.hosted.filter((each) => each !== project.answers);
  return html`<section class="card" aria-labelledby=${`project-${project.name}`}>
    <header><h2 id=${`project-${project.name}`}>${project.name}</h2>${project.answers !== null ? html`<${Badge} state="ready" label=${said.answers(project.answers)} />` : html`<${Badge} state="stopped" label=${others.length ? said.notAnswered : said.notHosted} />`}</header>
    <dl class="pairs">
      ${datasets.length ? datasets : html`<div><dt>${said.datasets}</dt><dd><a href=${to("dataset")}>${said.noDataset}</a></dd></div>`}
      <div><dt>${said.versions}</dt><dd><a href=${to("models")}>${value(project.versions, "count")}</a>${project.champion !== null && html` <span class="quiet">${said.champion(project.champion)}</span>`}${others.length > 0 && html` <span class="quiet">${said.others(others)}</span>`}</dd></div>
      <div><dt>${said.waiting}</dt><dd><a href=${to("review")}>${project.waiting >= 1000 ? said.many : value(project.waiting, "count")}</a></dd></div>
      <div><dt>${said.created}</dt><dd><${Moment} at=${project.created} /></dd></div>
    </dl>
  </section>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function Projects({ api, page }) {
  const { answer, fault, refresh } = usePolled(api, PATH);
  const [name, setName] = useState("");
  const [words, setWords] = useState("");
  const create = useAction(async () => {
    setWords("");
    const done = await api(PATH, { body: { project: name.trim() } });
    setWords(done.words);
    setName("");
    refresh();
  });
  const made = (event) => {
    event.preventDefault();
    create.act();
  };
  return html`<${Title} lead=${said.lead}>${page.title}<//>
    <${Outcome} action=${create} words=${words} />
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${answer &&
    (answer.may_change
      ? html`<form class="controls inline" onSubmit=${made}>
          <label class="pick">${said.name} <input type="text" required maxlength="255" pattern="[a-zA-Z0-9][a-zA-Z0-9_\\-]*" title=${said.pattern} value=${name} onInput=${(event) => setName(event.target.value)} /></label>
          <button type="submit" disabled=${create.busy}>${said.create}</button>
        </form>`
      : html`<p class="quiet below">${text.shared.onlyAdmins}</p>`)}
    ${answer && !answer.projects.length && html`<div class="empty page"><p>${text.inspection.none}</p><p>${said.howToBegin}</p></div>`}
    <div class="projects">${(answer?.projects ?? []).map((each) => html`<${Card} key=${each.name} project=${each} />`)}</div>`;
}
