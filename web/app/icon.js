// Line icons, 24 by 24, in the colour of the text around them. They repeat what a word beside them says.
import { html } from "./html.js";

const LINES = {
  home: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  runs: "M12 3a9 9 0 1 1-8.5 6M3 4v5h5M10 8.5v7l5.5-3.5z",
  quarantine: "M12 3l8 3v6c0 5-3.4 8-8 9-4.6-1-8-4-8-9V6zM12 8v5M12 16.5v.1",
  settings: "M4 7h8M18 7h2M4 17h2M12 17h8M15 4.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M9 14.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5",
  labeling: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M8 9h8v6H8z",
  slides: "M4 4h16v16H4zM4 9.3h16M4 14.7h16M9.3 4v16M14.7 4v16",
  health: "M3 12h4l2.5-6 4.5 12 2.5-6H21",
  captions: "M3 5h18v12h-8l-4 3v-3H3zM7 10h5M15 10h2M7 13.5h2M12 13.5h5",
  narration: "M4 10v4M8 7v10M12 4v16M16 8v8M20 10.5v3",
  inspection: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M15.2 15.2 20.5 20.5M8 10.5l2 2 3.3-3.6",
  succeeded: "M4.5 12.5l5 5L19.5 7",
  running: "M12 3.5a8.5 8.5 0 1 1-8.5 8.5",
  stopping: "M12 3.5a8.5 8.5 0 1 1-8.5 8.5",
  failed: "M12 4l9 16H3zM12 10v4.5M12 17.2v.1",
  stopped: "M6 6h12v12H6z",
  waiting: "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17M12 7.5V12l3 2",
  skipped: "M5 12h14",
  absent: "M5 12h.1M9.6 12h.1M14.3 12h.1M19 12h.1",
  unknown: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.4v.1",
  menu: "M4 6.5h16M4 12h16M4 17.5h16",
  close: "M6 6l12 12M18 6L6 18",
};
LINES.ready = LINES.succeeded;

export const Icon = ({ name, size = 20 }) => html`<svg class=${`icon icon-${name}`} viewBox="0 0 24 24" width=${size} height=${size} aria-hidden="true" focusable="false"><path d=${LINES[name]} /></svg>`;
