// Asks the sorter once a second what it does. Text goes in as text only.
const SECOND = 1000;
const JUDGES = { local: ", by the local model", cloud: ", by the API" };
const find = (id) => document.getElementById(id);

function made(tag, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function number(name, value) {
  const box = document.createElement("div");
  box.append(made("dt", name), made("dd", value));
  return box;
}

function card(record) {
  const item = document.createElement("li");
  item.dataset.verdict = record.verdict ?? "";
  if (record.photograph) {
    const picture = document.createElement("img");
    picture.src = `/pictures/${record.item}`;
    picture.alt = `Item ${record.number}`;
    picture.loading = "lazy";
    item.append(picture);
  } else {
    const none = made("div", "no photograph");
    none.className = "none";
    item.append(none);
  }
  const sure = record.confidence === null ? "" : ` ${Math.round(100 * record.confidence)} %`;
  item.append(made("p", `${record.number} ${record.verdict ?? "…"}${sure}, ${record.state}`));
  const labels = record.labels.length ? ` (${record.labels.join(", ")})` : "";
  item.append(made("p", `${record.reason}${labels}${JUDGES[record.judged_by] ?? ""}`));
  return item;
}

function numbers(told) {
  const totals = (name) => String(told.totals[name] ?? 0);
  const looked = told.photographs;
  const late = told.pusher_late_ms;
  const found = [
    ["Items", totals("items")],
    ["Passed", totals("passed")],
    ["Pushed", totals("pushed")],
    ["Missed", totals("missed")],
    ["Recovered", totals("recovered")],
    ["Accepted", totals("verdict accept")],
    ["Rejected", totals("verdict reject")],
    ["For review", totals("verdict review")],
    ["For inspection", totals("verdict inspect")],
    ["On the belt", String(told.on_belt)],
    ["Pusher late, median / most", late ? `${late.median} / ${late.most} ms` : "–"],
    ["Waiting to be sent", String(told.queue)],
    ["Brightness", looked.brightness === null ? "–" : String(looked.brightness)],
    ["Sharpness", looked.sharpness === null ? "–" : String(looked.sharpness)],
    ["Product found", looked.product_found === null ? "–" : `${Math.round(100 * looked.product_found)} %`],
  ];
  if (told.unrecorded) found.push(["To be recorded", String(told.unrecorded)]);
  if (told.totals["without record"]) found.push(["Without record", totals("without record")]);
  for (const [name, state] of Object.entries(told.circuits)) found.push([`Circuit ${name}`, state.toLowerCase()]);
  return found;
}

let shown = "";

async function look() {
  try {
    const told = await (await fetch("/health.json", { cache: "no-store" })).json();
    find("place").textContent = `${told.project}, ${told.line}, ${told.camera}`;
    find("state").textContent = told.state;
    find("state").dataset.state = told.state;
    const faults = told.forwarding ? [...told.faults, `Forwarding waits: ${told.forwarding}`] : told.faults;
    find("faults").replaceChildren(...faults.map((each) => made("li", each)));
    find("numbers").replaceChildren(...numbers(told).map(([name, value]) => number(name, value)));
    const latest = JSON.stringify(told.latest);
    if (latest !== shown) find("latest").replaceChildren(...told.latest.map(card));
    shown = latest;
  } catch {
    find("state").textContent = "the sorter does not answer";
    find("state").dataset.state = "away";
  }
}

await look();
setInterval(look, SECOND);
