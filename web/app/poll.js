// An answer of the API that is kept fresh: asked again with its ETag, ever more rarely while nothing changes, not at all
// while nobody looks, and at once when somebody looks again.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export const PAUSES = { fast: 1000, slow: 10_000, idle: 30_000, faulty: 60_000 };

// The pause before the next request, in milliseconds. `quiet` counts the answers since the last that was new.
export function pause({ busy, quiet, failures }) {
  if (failures) return Math.min(PAUSES.faulty, PAUSES.fast * 2 ** failures);
  return busy ? Math.min(PAUSES.slow, PAUSES.fast * 1.5 ** quiet) : PAUSES.idle;
}

/**
 * `busy` says of an answer whether it will soon change. After a fault the last answer stays, beside the fault.
 * @template {string} P
 * @param {import("../types/console").Api} api
 * @param {P} path
 * @param {(answer: import("../types/api").Get<P>) => boolean} [busy]
 * @returns {{ answer?: import("../types/api").Get<P>, fault?: import("./session.js").Fault, loading: boolean, refresh: () => void }}
 */
export function usePolled(api, path, busy = () => false) {
  const [state, setState] = useState({ path, loading: true });
  const again = useRef(() => {});
  const isBusy = useRef(busy);
  isBusy.current = busy;

  useEffect(() => {
    const stop = new AbortController();
    let timer;
    let asking = false;
    let changed = false;
    let etag = "";
    let answer;
    let quiet = 0;
    let failures = 0;
    const ask = async () => {
      clearTimeout(timer);
      if (asking || stop.signal.aborted) return;
      asking = true;
      changed = false;
      try {
        const told = await api(path, { etag, signal: stop.signal });
        failures = 0;
        quiet = told.answer ? 0 : quiet + 1;
        if (told.answer) ({ answer, etag } = told);
        setState({ path, answer, loading: false });
      } catch (fault) {
        if (fault.name === "AbortError") return;
        failures += 1;
        setState({ path, answer, fault, loading: false });
      } finally {
        asking = false;
      }
      if (changed) ask();
      else if (!document.hidden) timer = setTimeout(ask, pause({ busy: Boolean(answer) && isBusy.current(answer), quiet, failures }));
    };
    const seen = () => (document.hidden ? clearTimeout(timer) : ask());
    again.current = () => {
      quiet = 0;
      failures = 0;
      changed = true; // an answer that is on its way may be of before
      ask();
    };
    document.addEventListener("visibilitychange", seen);
    ask();
    return () => {
      document.removeEventListener("visibilitychange", seen);
      clearTimeout(timer);
      stop.abort();
    };
  }, [api, path]);

  const refresh = useCallback(() => again.current(), []);
  // Until the effect has run, the state may be of the path before.
  return { ...(state.path === path ? state : { loading: true }), refresh };
}
