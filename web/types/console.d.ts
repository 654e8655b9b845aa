// What the shell hands to its pages, as types. Those of the API's answers are in api.d.ts.
import type { Get, Post } from "./api";

export interface Request {
  method?: "GET" | "POST";
  body?: unknown;
  signal?: AbortSignal;
}

/** Calls the API as the signed-in user; with `etag` the answer comes only when it is new. Throws `Fault`. */
export interface Api {
  <P extends string>(path: P, request: Request & { etag: string }): Promise<{ etag: string; answer?: Get<P> }>;
  <P extends string>(path: P, request: Request & { blob: true }): Promise<Blob>;
  <P extends string>(path: P, request: Request & { method: "POST" }): Promise<Post<P>>;
  <P extends string>(path: P, request: Request & { body: unknown }): Promise<Post<P>>;
  <P extends string>(path: P, request?: Request): Promise<Get<P>>;
}
