/** Stand-in: what the simulated forges share. An HTTP server with routes, faults and a record of every call. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { World } from "../world.ts";

export interface ApiRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** The token of the `authorization` header, whatever its scheme. */
  readonly token: string | undefined;
  /** Address of this page without its query, for links to others. */
  readonly address: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** As in the forge's published description, e.g. `/orgs/{org}/actions/runners`. */
  readonly path: string;
  handle(request: ApiRequest): ApiAnswer;
}

/** Thrown in a route: the answer is an error with this message. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "Refusal";
    this.status = status;
  }
}

export interface ApiServerOptions {
  readonly world: World;
  readonly name: string;
  /** Where the API begins, e.g. `/api/v1`. Calls are recorded without it. */
  readonly basePath: string;
  readonly routes: readonly Route[];
  readonly now: () => number;
  /** How long the fault `slow` takes. */
  readonly slowMs: number;
  /** Fields of every error's body, beside its message. */
  readonly errorFields: Readonly<Record<string, string>>;
  /** Headers of every answer. */
  headers?(): Readonly<Record<string, string>>;
}

/**
 * Faults (`forge:<name>`, or `forge:<name>:<METHOD>` for requests of one method): an HTTP status answers that without doing anything; `slow` answers late;
 * `truncated` does what was asked and cuts its answer short.
 */
export async function startApiServer(
  options: ApiServerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const { world, name, now } = options;
  const port = await world.port(`forge-${name}`);
  const closing = new AbortController();
  const routes = options.routes.map((route) => ({ ...route, pattern: patternOf(route.path) }));

  const answer = async (request: IncomingMessage, url: URL, path: string): Promise<ApiAnswer> => {
    const body = await readBody(request);
    for (const route of routes) {
      const match = route.method === request.method ? route.pattern.exec(path) : null;
      if (match === null) continue;
      const params = Object.fromEntries(
        Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]),
      );
      const token = request.headers.authorization?.replace(/^\S+\s+/, "");
      return route.handle({
        params,
        query: url.searchParams,
        body,
        token,
        address: `${url.origin}${url.pathname}`,
      });
    }
    throw new Refusal(404, "Not Found");
  };

  const failed = (status: number, message: string): ApiAnswer => ({
    status,
    body: { message, ...options.errorFields },
    headers: status === 429 ? { "retry-after": "1" } : {},
  });

  const refused = (error: unknown): ApiAnswer => {
    if (error instanceof Refusal) return failed(error.status, error.message);
    return failed(500, error instanceof Error ? error.message : "fault in the stand-in");
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", `http://127.0.0.1:${port}`);
    const path = url.pathname.startsWith(options.basePath)
      ? url.pathname.slice(options.basePath.length)
      : url.pathname;
    world.record({ part: name, call: `${request.method} ${path}` });

    const fault = world.fault(`forge:${name}`) ?? world.fault(`forge:${name}:${request.method}`);
    if (fault === "slow") await delay(options.slowMs, undefined, { signal: closing.signal });
    const status = Number(fault);
    const result =
      status > 0
        ? failed(status, `injected fault ${status}`)
        : await answer(request, url, path).catch(refused);

    const text = result.body === undefined ? "" : JSON.stringify(result.body);
    const headers = {
      date: new Date(now()).toUTCString(),
      ...options.headers?.(),
      ...(text === "" ? {} : { "content-type": "application/json; charset=utf-8" }),
      ...result.headers,
    };
    if (fault === "truncated") {
      if (text === "") {
        response.destroy();
        return;
      }
      response.writeHead(result.status, { ...headers, "content-length": String(text.length + 100) });
      response.write(text.slice(0, text.length / 2), () => response.destroy());
      return;
    }
    response.writeHead(result.status, headers).end(text);
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The entries of one page, with the headers that name the others. */
export function paginate<T>(
  { query, address }: ApiRequest,
  entries: readonly T[],
  { parameter, initial, most }: { parameter: string; initial: number; most: number },
): { readonly page: readonly T[]; readonly headers: Readonly<Record<string, string>> } {
  const size = Math.min(Number(query.get(parameter)) || initial, most);
  const page = Number(query.get("page")) || 1;
  const last = Math.max(1, Math.ceil(entries.length / size));
  const link = (rel: string, to: number) => {
    const others = new URLSearchParams(query);
    others.set("page", String(to));
    return `<${address}?${others}>; rel="${rel}"`;
  };
  return {
    page: entries.slice((page - 1) * size, page * size),
    headers: page < last ? { link: [link("next", page + 1), link("last", last)].join(", ") } : {},
  };
}

/** A text field of a request's body. */
export function textField(body: unknown, field: string): string | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const value: unknown = Reflect.get(body, field);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "Problems parsing JSON");
  }
}
