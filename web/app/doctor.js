// The data doctor: what is wrong with a project's photographs, in words, with the photographs.
import { useState } from "preact/hooks";
import { value } from "./format.js";
import { html } from "./html.js";
import { OfProject, Outcome } from "./of-project.js";
import { Moment, Problem, useAction } from "./parts.js";
import { Picture, nameOf } from "./photographs.js";
import { usePolled } from "./poll.js";
import { text } from "./strings.js";

const said = text.doctor;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Finding({ api, project, finding, at }) {
  const more = finding.shown - finding.sources.length;
  return html`<section class="card" aria-labelledby=${`finding-${at}`}>
    <header><h2 id=${`finding-${at}`}>${said.kinds[finding.kind] ?? finding.kind}</h2></header>
    <p>${finding.words}</p>
    <p class="quiet">${finding.remedy}</p>
    ${finding.sources.length > 0 &&
    html`<ul class="shots small">${finding.sources.map(
      (source) => html`<li key=${source}><figure><${Picture} api=${api} project=${project} source=${source} alt=${text.photographs.alt(nameOf(source))} px=${200} /><figcaption title=${source}>${nameOf(source)}</figcaption></figure></li>`,
    )}</ul>`}
    ${more > 0 && html`<p class="quiet">${said.more(value(more, "count"))}</p>`}
  </section>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, project, path }) {
  const where = /** @type {`/api/inspection/projects/${string}/doctor`} */ (`${path}/doctor`);
  const { answer, fault, refresh } = usePolled(api, where, (told) => told.state === "running");
  const [words, setWords] = useState("");
  const examine = useAction(async () => {
    setWords((await api(where, { method: "POST" })).words);
    refresh();
  });
  if (!answer) return fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`;
  const running = answer.state === "running";
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <${Outcome} action=${examine} words=${running ? words : ""} />
    <div class="controls">
      ${answer.may_change ? html`<button type="button" class="primary" disabled=${running || examine.busy} onClick=${examine.act}>${running ? said.running : said.examine}</button>` : html`<p class="quiet">${text.shared.onlyAdmins}</p>`}
      <p role="status">${answer.state === "done" && html`${said.looked(value(answer.photographs, "count"), answer.findings.length)} <${Moment} at=${answer.at} />`}${answer.state === "never" && said.never}</p>
    </div>
    ${answer.outdated && html`<p class="notice">${said.outdated}</p>`}
    ${answer.left_out > 0 && html`<p class="notice">${said.leftOut(value(answer.left_out, "count"))}</p>`}
    ${answer.state === "failed" && html`<p class="problem" role="alert">${answer.message}</p>`}
    ${answer.state === "done" && !answer.findings.length && html`<div class="empty page"><p>${said.healthy}</p></div>`}
    <div class="stack">${answer.findings.map((finding, at) => html`<${Finding} key=${at} api=${api} project=${project} finding=${finding} at=${at} />`)}</div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Doctor = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
