/**
 * Requests that other machines answer over HTTP: each try has a time limit, what may be sent again is, and no error
 * repeats a credential or the text of an answer.
 */
import { setTimeout as delay } from "node:timers/promises";
import pRetry from "p-retry";
import type { z } from "zod";

export interface Patience {
  /**
   * Whether the request may be sent again when its answer was lost or an error. Default: every method but POST and
   * PATCH, which could otherwise take effect twice.
   */
  readonly retry?: boolean;
  /** Further tries after the first; default 4. */
  readonly retries?: number;
  /** Wait before the second try; doubles each time, with jitter. Default 500. */
  readonly firstDelayMs?: number;
  /** Time limit of each try; default 30 000. */
  readonly timeoutMs?: number;
  /** Ends the request and all waiting at once. */
  readonly signal?: AbortSignal | undefined;
}

export interface JsonRequest<T> extends Patience {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Checks the answer; an empty answer is `undefined`. */
  readonly schema: z.ZodType<T>;
  /** Who is asked, for errors: `Vault`, `forge "code"`. */
  readonly what: string;
}

/** An answer that is no success, or none at all. `message` names who, method and path; never query, header or body. */
export class HttpError extends Error {
  /** Absent when no usable answer came. */
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.name = "HttpError";
    this.status = status;
  }

  /** Whether the same request can succeed a little later. */
  get transient(): boolean {
    return this.status === undefined || isTransient(this.status);
  }
}

/** A server that asks for a longer wait than this is not waited for. */
const LONGEST_WAIT_MS = 60_000;

export async function requestJson<T>(request: JsonRequest<T>): Promise<T> {
  return (await requestWithHeaders(request)).body;
}

export async function requestWithHeaders<T>(
  request: JsonRequest<T>,
): Promise<{ readonly body: T; readonly headers: Headers }> {
  const { method, url, headers = {}, body, schema, what } = request;
  const route = `${what}: ${method} ${withoutQuery(url)}`;
  const response = await patientFetch(
    url,
    {
      method,
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      // Followed, a redirect would carry tokens in headers of our own to another server.
      redirect: "manual",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
    request,
    route,
  );
  if (!response.ok) throw new HttpError(`${route} answered ${describe(response)}`, response.status);

  const parsed = schema.safeParse(parseJson(await response.text(), response.status, route));
  if (!parsed.success) {
    const paths = parsed.error.issues.map((issue) => issue.path.join(".") || "the answer").join(", ");
    throw new HttpError(
      `${route} answered ${response.status}, but not in the expected form: ${paths}; is the address of the right server?`,
      response.status,
    );
  }
  return { body: parsed.data, headers: response.headers };
}

/**
 * `fetch` with time limits and bounded retries on lost connections, 429 and 5xx. The answer has been read in full; when
 * every try failed it is the last answer.
 * @throws HttpError without status when no answer came; the signal's reason when it was aborted.
 */
export async function patientFetch(
  url: string,
  init: RequestInit,
  patience: Patience,
  route: string,
): Promise<Response> {
  const { signal, timeoutMs = 30_000 } = patience;
  let answer: Response | undefined;
  const attempt = async (): Promise<Response> => {
    answer = undefined;
    answer = await fetchOnce(url, init, timeoutMs, signal, route);
    if (isTransient(answer.status) || asksToWait(answer)) {
      throw new HttpError(`${route} answered ${answer.status}`, answer.status);
    }
    return answer;
  };
  try {
    return await pRetry(attempt, {
      retries: repeatable(init.method ?? "GET", patience) ? (patience.retries ?? 4) : 0,
      minTimeout: patience.firstDelayMs ?? 500,
      maxTimeout: 10_000,
      randomize: true,
      ...(signal === undefined ? {} : { signal }),
      onFailedAttempt: async ({ retriesLeft }) => {
        const wait = answer === undefined ? undefined : waitAskedFor(answer);
        if (retriesLeft > 0 && wait !== undefined && wait <= LONGEST_WAIT_MS) {
          await delay(wait, undefined, signal === undefined ? {} : { signal });
        }
      },
      shouldRetry: () => ((answer && waitAskedFor(answer)) ?? 0) <= LONGEST_WAIT_MS,
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (answer !== undefined) return answer;
    throw error;
  }
}

async function fetchOnce(
  url: string,
  init: RequestInit,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  route: string,
): Promise<Response> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      ...init,
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    });
    // Read here, so that an answer cut short counts as a failed try.
    const body = await response.arrayBuffer();
    const { status, statusText, headers } = response;
    return new Response(body.byteLength === 0 ? null : body, { status, statusText, headers });
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.aborted) throw new HttpError(`${route}: no answer within ${timeoutMs / 1000} s`);
    throw new HttpError(`${route}: no answer (${causeOf(error)}); is the server up and its address right?`);
  }
}

function repeatable(method: string, patience: Patience): boolean {
  return patience.retry ?? !["POST", "PATCH"].includes(method.toUpperCase());
}

function isTransient(status: number): boolean {
  return status === 429 || (status >= 500 && status !== 501);
}

/** GitHub refuses with 403 while a rate limit lasts, and says so in a header. */
function asksToWait(response: Response): boolean {
  return response.status === 403 && waitAskedFor(response) !== undefined;
}

/** What `retry-after`, in seconds or as a date, asks for. */
export function waitAskedFor(response: Response, now = Date.now()): number | undefined {
  const asked = response.headers.get("retry-after");
  if (asked === null) return undefined;
  const ms = /^\d+$/.test(asked) ? Number(asked) * 1000 : Date.parse(asked) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function describe(response: Response): string {
  const { status } = response;
  if (status >= 300 && status < 400) {
    const target = response.headers.get("location");
    return `${status}: moved${target === null ? "" : ` to ${withoutQuery(target)}`}; configure the new address`;
  }
  const wait = waitAskedFor(response);
  return wait === undefined ? `${status}` : `${status} and asks to wait ${Math.ceil(wait / 1000)} s`;
}

function parseJson(text: string, status: number, route: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(
      `${route} answered ${status}, but not in JSON; is the address of the right server?`,
      status,
    );
  }
}

function withoutQuery(url: string): string {
  if (!URL.canParse(url)) return url.replace(/[?#].*/s, "");
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

/** The system's name of a network fault, e.g. `ECONNREFUSED`. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : "connection failed";
}
