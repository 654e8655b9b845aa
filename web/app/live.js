// A belt as it runs: the newest photographs with their verdicts, and how many of the last minutes were rejected.
import { useState } from "preact/hooks";
import { share, value } from "./format.js";
import { html } from "./html.js";
import { OfProject } from "./of-project.js";
import { Badge, Moment, Problem } from "./parts.js";
import { Picture, nameOf } from "./photographs.js";
import { usePolled } from "./poll.js";
import { link, request } from "./route.js";
import { text } from "./strings.js";
import { signs, told } from "./verify.js";

const said = text.live;
const BADGES = { accept: "succeeded", review: "waiting", reject: "failed" };

/** @typedef {import("../types/api").Verdict} Verdict */

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, project, path, chosen, address }) {
  const { line = "", camera = "" } = chosen;
  const { answer, fault, refresh } = usePolled(api, /** @type {`/api/inspection/projects/${string}/live`} */ (request(`${path}/live`, { line, camera })), () => true);
  const [seen, setSeen] = useState(/** @type {Record<string, Record<string, true>>} */ ({}));
  // Lines and cameras are those that were ever seen here: a choice does not take the others off the list.
  const fresh = (answer?.verdicts ?? []).filter((each) => each.line && !seen[each.line]?.[each.camera]);
  if (fresh.length) setSeen((before) => fresh.reduce((found, each) => ({ ...found, [each.line]: { ...found[each.line], [each.camera]: true } }), before));
  const to = (more) => link(address.path, { project, line, camera, ...more });
  const pick = (title, name, all, options, current) => html`<label class="pick">${title} <select onChange=${(event) => (location.hash = to({ [name]: event.target.value, ...(name === "line" && { camera: "" }) }))}>
    <option value="" selected=${!current}>${all}</option>${[...new Set([...options, current])].filter(Boolean).sort().map((each) => html`<option key=${each} value=${each} selected=${each === current}>${each}</option>`)}
  </select></label>`;
  const review = (show) => link(["inspection", "review"], { project, show });
  const cameras = Object.entries(seen).filter(([name]) => !line || name === line).flatMap(([, found]) => Object.keys(found));
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    <div class="controls">${pick(said.line, "line", said.allLines, Object.keys(seen), line)}${pick(said.camera, "camera", said.allCameras, cameras, camera)}</div>
    ${answer &&
    html`<div class="grid">
      ${[["items", said.items, answer.items], ["rejects", said.rejects, answer.rejects], ["reviews", said.reviews, answer.reviews]].map(
        ([name, title, count]) => html`<section key=${name} class="card kpi span1"><h2>${title}</h2><p class="figure">${value(count, "count")}${answer.cut && name === "items" ? "+" : ""}</p><p class="quiet">${name === "items" ? said.lastMinutes(answer.minutes) : share(Number(count), answer.items)}</p></section>`,
      )}
      <section class="card kpi span1"><h2>${said.rate}</h2><p class="figure">${value(answer.items / answer.minutes, "rate")}</p><p class="quiet">${said.onAverage(answer.minutes)}</p></section>
    </div>
    ${!answer.verdicts.length && html`<div class="empty page"><p>${said.none}</p><p>${said.howToBegin(project)}</p></div>`}
    ${answer.verdicts.length > 0 && !answer.items && html`<p class="notice">${said.rests(answer.minutes)}</p>`}
    ${answer.verdicts.length > 0 && html`<p class="quiet below">${said.wrong} <a href=${review("reject")}>${said.rejected}</a>, <a href=${review("accept")}>${said.accepted}</a>.</p>`}
    <ul class="shots belt" aria-label=${said.newest}>${answer.verdicts.map(
      (each) => html`<li key=${each.key} class=${`card shot ${each.verdict}`}>
        <${Picture} api=${api} project=${project} source=${each.source} item=${each.item} masked=${each.masked} alt=${text.photographs.alt(nameOf(each.source))} px=${240} />
        <p><${Badge} state=${BADGES[each.verdict]} label=${said.verdicts[each.verdict]} /></p>
        <p class="quiet">${[told(each), signs(each)].filter(Boolean).join(" · ")}</p>
        <p class="quiet">${each.line} / ${each.camera} · <${Moment} at=${each.at} /></p>
        ${!each.crop_ok && html`<p class="notice">${said.noObject}</p>`}
      </li>`,
    )}</ul>`}`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Live = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
