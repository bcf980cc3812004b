/** What the simulated clouds have in common: a JSON API on loopback with a bearer token, faults and rate limit headers. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";
import type { World } from "../world.ts";

export interface ApiRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body?: unknown;
}

/** An answer that is no success, in the words of the cloud's own documentation. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: unknown;
  constructor(status: number, code: string, message: string, details: unknown = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

export interface Api {
  readonly world: World;
  readonly part: "hetzner" | "digitalocean";
  /** Path before every route, e.g. `/v1`. */
  readonly prefix: string;
  readonly token: string;
  readonly requestsPerHour: number;
  /** Routes by method and path, e.g. `GET /servers/{id}`. */
  readonly routes: Readonly<Record<string, (request: ApiRequest) => ApiAnswer>>;
  /** The route that makes machines: takes the faults injected at the part itself, all others at `part:ROUTE`. */
  readonly creates: string;
  readonly unavailable: ApiError;
  readonly codes: {
    readonly unauthorized: string;
    readonly rateLimit: string;
    readonly server: string;
    readonly notFound: string;
  };
  renderError(error: ApiError): unknown;
  /** Name of what a request is about. */
  describe(route: string, request: ApiRequest): string | undefined;
  /** How long the fault `slow` holds an answer back. */
  readonly slowMs: number;
}

export interface Serving {
  readonly url: string;
  close(): Promise<void>;
}

export function notFound(what: string): ApiError {
  return new ApiError(404, "not_found", `${what} not found`);
}

/** The request's body in the shape that the route takes. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, refuse: (message: string) => ApiError): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refuse(`invalid input in field '${issue?.path.join(".") ?? ""}': ${issue?.message ?? "not valid"}`);
}

export async function serveApi(api: Api): Promise<Serving> {
  const limit = rateLimit(api.requestsPerHour);
  const server = createServer((request, response) => {
    respond(api, limit, request, response).catch((error: unknown) => {
      const failure =
        error instanceof ApiError ? error : new ApiError(500, api.codes.server, messageOf(error));
      send(response, { status: failure.status, body: api.renderError(failure) });
    });
  });
  const port = await api.world.port(api.part);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(
  api: Api,
  limit: () => Record<string, string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = request.method ?? "GET";
  const url = new URL(request.url ?? "/", "http://cloud");
  const path = url.pathname.startsWith(`${api.prefix}/`)
    ? url.pathname.slice(api.prefix.length)
    : url.pathname;
  const body = await readBody(request);
  for (const [name, value] of Object.entries(limit())) response.setHeader(name, value);

  if (request.headers.authorization !== `Bearer ${api.token}`) {
    api.world.record({ part: api.part, call: `${method} ${path}`, detail: "refused: wrong token" });
    throw new ApiError(401, api.codes.unauthorized, "the token you provided is invalid");
  }
  const match = matchRoute(api, method, path);
  if (match === undefined || !url.pathname.startsWith(`${api.prefix}/`))
    throw new ApiError(404, api.codes.notFound, `no route ${method} ${url.pathname}`);

  const { route, params } = match;
  const asked: ApiRequest = { params, query: url.searchParams, body };
  const detail = api.describe(route, asked);
  api.world.record({
    part: api.part,
    call: `${method} ${path}`,
    ...(detail === undefined ? {} : { detail }),
  });

  const fault =
    (route === api.creates ? api.world.fault(api.part) : undefined) ??
    api.world.fault(`${api.part}:${route}`);
  if (fault !== undefined) await suffer(api, fault);
  const answer = handlerOf(api, route)(asked);
  if (fault === "lost") request.socket.destroy();
  else send(response, answer);
}

/** `slow` and `lost` let the request through: the second does what was asked and loses the answer. */
async function suffer(api: Api, fault: string): Promise<void> {
  if (fault === "lost") return;
  if (fault === "slow") {
    await delay(api.slowMs);
    return;
  }
  if (fault === "resource_unavailable") throw api.unavailable;
  if (fault === "429") throw new ApiError(429, api.codes.rateLimit, "limit of requests per hour reached");
  if (fault === "500") throw new ApiError(500, api.codes.server, "injected fault of the rehearsal");
  throw new Error(`no fault ${fault}; there are 500, 429, resource_unavailable, slow and lost`);
}

function handlerOf(api: Api, route: string): (request: ApiRequest) => ApiAnswer {
  const handler = api.routes[route];
  if (handler === undefined) throw notFound(route);
  return handler;
}

function matchRoute(
  api: Api,
  method: string,
  path: string,
): { readonly route: string; readonly params: Record<string, string> } | undefined {
  const parts = path.split("/");
  const matches = Object.keys(api.routes).flatMap((route) => {
    const [routeMethod, routePath = ""] = route.split(" ");
    const pattern = routePath.split("/");
    if (routeMethod !== method || pattern.length !== parts.length) return [];
    const params: Record<string, string> = {};
    for (const [index, name] of pattern.entries()) {
      const part = decodeURIComponent(parts[index] ?? "");
      if (name.startsWith("{")) params[name.slice(1, -1)] = part;
      else if (name !== part) return [];
    }
    return [{ route, params }];
  });
  // `/servers/actions` is no server whose id is "actions".
  return matches.toSorted((a, b) => Object.keys(a.params).length - Object.keys(b.params).length)[0];
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (chunks.length === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8")) as unknown;
  } catch {
    throw new ApiError(400, "json_error", "the request's body is not JSON");
  }
}

function send(response: ServerResponse, { status, body }: ApiAnswer): void {
  response.statusCode = status;
  if (body === undefined) {
    response.end();
    return;
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}

/** Counts as the clouds do, but never refuses: a rehearsal makes in a minute the requests of a real hour. */
function rateLimit(perHour: number): () => Record<string, string> {
  let left = perHour;
  let last = Date.now();
  return () => {
    const now = Date.now();
    left = Math.min(perHour, left + ((now - last) / 3_600_000) * perHour);
    last = now;
    left = Math.max(0, left - 1);
    const full = now + ((perHour - left) / perHour) * 3_600_000;
    return {
      "ratelimit-limit": String(perHour),
      "ratelimit-remaining": String(Math.floor(left)),
      "ratelimit-reset": String(Math.ceil(full / 1000)),
    };
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
