// The console's contents: one entry per system, one line per page, and the pages of the shell that all systems share.
// The navigation and the router are made from it. A page is a component that gets
// { api, page, address, go, system, deployed, session }; it is loaded when it is first opened. What systems and pages are
// called, and what they are for, is in strings.js under the same ids.
import { link } from "./route.js";
import { text } from "./strings.js";

const dashboard = () => import("./dashboard.js").then((module) => module.Dashboard);

const contents = {
  labeling: [
    ...["overview", "annotations", "workers", "audits", "tracks", "cost"].map((id) => ({ id, load: dashboard, dashboard: id })),
    { id: "labels", load: () => import("./labels.js").then((module) => module.Labels), within: true },
    { id: "annotation", load: () => import("./annotation.js").then((module) => module.Annotation), within: true },
  ],
  slides: [
    // `ofRun`: the page is about one run, which its address names.
    { id: "cohort", load: () => import("./cohort.js").then((module) => module.Cohort), ofRun: true },
    { id: "metrics", load: () => import("./metrics.js").then((module) => module.Metrics), ofRun: true },
    { id: "files", load: () => import("./files.js").then((module) => module.Files), ofRun: true },
    { id: "slide", load: () => import("./slide.js").then((module) => module.Slide), within: true },
  ],
  health: [],
  captions: [],
  narration: [],
  inspection: [
    { id: "projects", load: () => import("./projects.js").then((module) => module.Projects) },
    { id: "dataset", load: () => import("./photo-dataset.js").then((module) => module.Dataset) },
    { id: "doctor", load: () => import("./doctor.js").then((module) => module.Doctor) },
    { id: "models", load: () => import("./versions.js").then((module) => module.Models) },
    { id: "trial", load: () => import("./verify.js").then((module) => module.Trial) },
    { id: "review", load: () => import("./verify.js").then((module) => module.Review) },
    { id: "live", load: () => import("./live.js").then((module) => module.Live) },
    { id: "dashboard", load: () => import("./ratio.js").then((module) => module.Dashboard) },
    { id: "drift", load: () => import("./drift.js").then((module) => module.Drift) },
    { id: "cost", load: () => import("./item-cost.js").then((module) => module.ItemCost) },
    { id: "model", load: () => import("./version.js").then((module) => module.Model), within: true },
  ],
};

const titled = (id, page) => ({ ...page, title: text.systems[id].pages[page.id] });

export const systems = Object.entries(contents).map(([id, pages]) => ({
  id,
  title: text.systems[id].title,
  pages: pages.filter((page) => !page.within).map((page) => titled(id, page)),
  within: pages.filter((page) => page.within).map((page) => titled(id, page)), // reached from other pages only
}));

// Where a person goes to see what waits for them, by system and kind; a page that is not there gives way to the first.
const places = { labeling: { finding: "overview", directed_audit: "tracks", answer_flag: "workers", expiry: "overview" }, inspection: { review: "review", approval: "models" } };

export function needPlace(id, kind) {
  if (kind === "quarantine") return link(["quarantine"], { system: id });
  const pages = systems.find((each) => each.id === id).pages;
  const page = pages.find((each) => each.id === places[id]?.[kind]) ?? pages[0];
  return link(page ? [id, page.id] : [id]);
}

// The shell's own pages, as the navigation lists them.
export const shell = [
  { id: "home", path: [], title: text.shell.allSystems, load: () => import("./home.js").then((module) => module.Home) },
  { id: "runs", path: ["runs"], title: text.shell.runs, load: () => import("./runs.js").then((module) => module.Runs) },
  { id: "quarantine", path: ["quarantine"], title: text.shell.quarantine, load: () => import("./quarantine.js").then((module) => module.Quarantine) },
  { id: "settings", path: ["settings"], title: text.shell.settings, load: () => import("./settings.js").then((module) => module.Settings) },
];
const run = { id: "run", title: text.shell.run, load: () => import("./run.js").then((module) => module.Run) };
const about = (system) => ({ id: "about", title: system.title, load: () => import("./about.js").then((module) => module.About) });

// Those of them that this environment deploys (config.json's `systems`; all with pages when it does not say).
export const deployed = (config) => systems.filter((each) => (config.systems ? config.systems.includes(each.id) : each.pages.length));

// What an address names: { page, system } (no system for the shell's own pages), or nothing.
export function find(path) {
  const [first, second, third] = path;
  if (!first) return { page: shell[0] };
  if (first === "runs" && third) {
    const system = systems.find((each) => each.id === second);
    return system && { page: run, system };
  }
  const own = shell.find((each) => each.path[0] === first);
  if (own) return path.length <= (first === "runs" ? 2 : 1) ? { page: own } : undefined;
  const system = systems.find((each) => each.id === first);
  if (!system) return undefined;
  if (!second) return { page: about(system), system };
  const page = [...system.pages, ...system.within].find((each) => each.id === second);
  return page && { page, system };
}

export const home = "#/";
