// What one item costs at a rate, by what answers: the service as it was beside this system, with the day of each price.
import { useEffect, useState } from "preact/hooks";
import { day, value } from "./format.js";
import { html } from "./html.js";
import { Problem, Title } from "./parts.js";
import { usePolled } from "./poll.js";
import { asked, link, request } from "./route.js";
import { text } from "./strings.js";

const said = text.itemCost;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20]; // items per second
const PATH = /** @type {const} */ ("/api/inspection/costs");
/** @type {Intl.NumberFormatOptions} */
const DOLLARS = { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" };
const cents = new Intl.NumberFormat("en-GB", { ...DOLLARS, minimumFractionDigits: 2, maximumFractionDigits: 2 });
const fractions = new Intl.NumberFormat("en-GB", { ...DOLLARS, maximumSignificantDigits: 2 });
// Two decimals, as money is written; of what is less than ten cents the two digits that tell something.
export const money = (usd) => (usd >= 0.1 ? cents : fractions).format(usd);

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function ItemCost({ api, address, page }) {
  const chosen = asked(address.hash);
  const rate = STEPS.includes(Number(chosen.rate)) ? Number(chosen.rate) : 1;
  const hours = Number(chosen.hours) > 0 && Number(chosen.hours) <= 744 ? Number(chosen.hours) : 730;
  const [typed, setTyped] = useState(rate);
  useEffect(() => setTyped(rate), [rate]);
  const { answer, fault, refresh } = usePolled(api, request(PATH, { rate, hours }));
  const [last, setLast] = useState(answer);
  if (answer && answer !== last) setLast(answer);
  const shown = answer ?? last; // the table stays while the next is asked for
  const to = (more) => link(address.path, { project: chosen.project, rate, hours, ...more });
  const slid = (event) => setTyped(STEPS[Number(event.target.value)]);
  const post = (at, cost) => html`<li><a href=${to({ rate: at, hours: 730 })}>${said.postSays(at, cost)}</a></li>`;
  return html`<${Title} lead=${said.lead}>${page.title}<//>
    <div class="controls">
      <label class="pick wide">${said.rate} <input type="range" min="0" max=${STEPS.length - 1} step="1" value=${STEPS.indexOf(typed)} aria-valuetext=${said.perSecond(typed)} onInput=${slid} onChange=${(event) => (location.hash = to({ rate: STEPS[Number(event.target.value)] }))} /> <output>${said.perSecond(typed)}</output></label>
      <label class="pick">${said.hours} <select onChange=${(event) => (location.hash = to({ hours: event.target.value }))}>${[730, 480, 160].map((each) => html`<option key=${each} value=${each} selected=${each === hours}>${said.hoursOf[each]}</option>`)}</select></label>
    </div>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!shown && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${shown &&
    html`<section class="card" aria-labelledby="costs"><header><h2 id="costs">${said.table(shown.rate)}</h2></header>
        <div class="scroll tall" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.table(shown.rate))}><table class="costs">
          <thead><tr><th scope="col">${said.backend}</th><th scope="col" class="number">${said.perItem}</th><th scope="col" class="number">${said.perThousand}</th><th scope="col" class="number roomy">${said.perMonth}</th><th scope="col" class="wordy">${said.assumed}</th></tr></thead>
          <tbody>${shown.costs.map((each) => html`<tr key=${each.backend}><th scope="row">${said.backends[each.backend] ?? each.backend}</th><td class="number">${money(each.usd_per_item)}</td><td class="number">${money(each.usd_per_thousand)}</td><td class="number roomy">${value(each.usd_per_month, "usd")}</td><td class="wordy quiet">${each.words}</td></tr>`)}</tbody>
        </table></div>
        <p class="quiet">${said.not}</p></section>
      <section class="card below" aria-labelledby="post"><h2 id="post">${said.post}</h2><ul>${post(1, "$0.001")}${post(5, "$0.0002")}</ul><p class="quiet">${said.postNote}</p></section>
      <section class="card below" aria-labelledby="prices"><h2 id="prices">${said.prices}</h2>
        <div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.prices)}><table>
          <thead><tr><th scope="col">${said.price}</th><th scope="col" class="number">${said.usd}</th><th scope="col">${said.of}</th><th scope="col" class="wordy">${said.source}</th></tr></thead>
          <tbody>${shown.prices.map((each) => html`<tr key=${each.name}><th scope="row">${said.names[each.name] ?? each.name}</th><td class="number">${money(each.usd)}</td><td>${day(each.of)}</td><td class="wordy quiet">${each.source}</td></tr>`)}</tbody>
        </table></div></section>`}`;
}
