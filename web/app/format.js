// Numbers, durations and days as text. One locale, so that a screenshot means the same everywhere.
const LOCALE = "en-GB";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const real = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 3 });
const dollars = new Intl.NumberFormat(LOCALE, { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat(LOCALE, { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", minimumFractionDigits: 2, maximumFractionDigits: 4 });
const percent = new Intl.NumberFormat(LOCALE, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const date = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const collator = new Intl.Collator("en", { numeric: true });

export const NOTHING = "–";

export function duration(seconds) {
  if (seconds < 60) return `${decimal.format(seconds)} s`;
  const total = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  if (hours) return `${whole.format(hours)} h${minutes ? ` ${minutes} min` : ""}`;
  return `${minutes} min${rest ? ` ${rest} s` : ""}`;
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = count ? Math.min(units.length - 1, Math.floor(Math.log10(count) / 3)) : 0;
  return `${decimal.format(count / 1000 ** power)} ${units[power]}`;
}

export function value(found, unit) {
  if (found === null || found === undefined) return NOTHING;
  switch (unit) {
    case "seconds":
      return duration(found);
    case "share":
      return percent.format(found);
    case "rate":
      return decimal.format(found);
    case "number":
      return real.format(found);
    case "usd":
      return Math.abs(found) < 1 ? cents.format(found) : dollars.format(found);
    case "day":
      return day(found);
    case "timestamp":
      return time(found);
    default:
      return typeof found === "number" ? whole.format(found) : String(found);
  }
}

export const day = (text) => date.format(new Date(`${text}T00:00:00Z`));
// Athena's own timestamps have a blank and no zone; they are UTC.
export const instant = (text) => (/^\d{4}-\d\d-\d\d \d\d:/.test(text) ? `${text.replace(" ", "T").replace(/ UTC$/, "")}Z` : text);
export const time = (text) => moment.format(new Date(instant(text)));

// How long ago, in the largest whole unit: "3 hours".
export function ago(milliseconds) {
  const minutes = Math.max(0, Math.round(milliseconds / 60_000));
  if (minutes < 60) return counted(minutes, "minutes");
  if (minutes < 48 * 60) return counted(Math.round(minutes / 60), "hours");
  return counted(Math.round(minutes / 1440), "days");
}

// A share for a small place: without decimals.
const rounded = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });
export const brief = (found, unit) => (unit === "share" ? rounded.format(found) : value(found, unit));

// Bounds of a 95 % interval; nothing when one is not known.
export const interval = (lower, upper, unit) => (lower === null || lower === undefined || upper === null || upper === undefined ? undefined : `${value(lower, unit)} to ${value(upper, unit)}`);
export const share = (part, all) => (all ? percent.format(part / all) : NOTHING);

// What a group is called: a missing value and an empty one are things a reader may see.
export const group = (found) => (found === null || found === undefined ? "not recorded" : found === "" ? "(empty)" : String(found));

// "2" before "10"; what is not recorded comes last.
export const natural = (a, b) => (a === null ? 1 : 0) - (b === null ? 1 : 0) || collator.compare(String(a), String(b));

export const words = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");

// A noun as counted: 1 label, 2 labels.
export const counted = (count, nouns) => `${whole.format(count)} ${count === 1 ? nouns.replace(/s$/, "") : nouns}`;
