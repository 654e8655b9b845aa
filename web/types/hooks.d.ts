// Preact's hooks as untyped JavaScript uses them: what a component keeps is any, what the API answers is not.
declare module "preact/hooks" {
  export function useState<S = any>(initial?: any): [S, (next: any) => void];
  export function useRef<T = any>(initial?: any): { current: T };
  export function useEffect(effect: () => void | (() => any), inputs?: readonly unknown[]): void;
  export function useLayoutEffect(effect: () => void | (() => any), inputs?: readonly unknown[]): void;
  export function useMemo<T>(make: () => T, inputs?: readonly unknown[]): T;
  export function useCallback<T extends Function>(callback: T, inputs: readonly unknown[]): T;
  export function useId(): string;
}
