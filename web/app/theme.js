// Light, dark, or as the device has it: remembered in this browser, told to the charts by an event.
import { useEffect, useState } from "preact/hooks";

export const THEMES = ["auto", "light", "dark"];
const KEY = "sextant.theme";
const CHANGED = "sextant:theme";

export const theme = () => {
  const kept = localStorage.getItem(KEY);
  return THEMES.includes(kept) ? kept : "auto";
};

export function choose(name) {
  localStorage.setItem(KEY, name);
  show();
  dispatchEvent(new Event(CHANGED));
}

// The style sheet follows the attribute; called before the first page is drawn.
export const show = () => {
  document.documentElement.dataset.theme = theme();
};

export function useTheme() {
  const [name, setName] = useState(theme());
  useEffect(() => {
    const changed = () => setName(theme());
    addEventListener(CHANGED, changed);
    return () => removeEventListener(CHANGED, changed);
  }, []);
  return name;
}
