/** JSON over HTTP with the patience of the official plugins: time limits, and again where trying again can help. */
import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";

export interface ClientOptions {
  /** How messages call the other side, e.g. `Hetzner Cloud`. */
  readonly service: string;
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The reason that an answer's body gives. */
  reasonOf(body: unknown): string | undefined;
  readonly retried: (status: number, method: string) => boolean;
  /** Limit of one request. Default 60. */
  readonly timeoutSeconds?: number;
}

export interface Client {
  /** Asks, and returns the body of a success in the given shape. */
  call<T>(signal: AbortSignal, shape: z.ZodType<T>, method: string, path: string, body?: unknown): Promise<T>;
}

/** An answer that is no success. */
export class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "HttpError";
    this.status = status;
  }
}

const attempts = 4;
const firstPauseMs = 250;

export function createClient(options: ClientOptions): Client {
  const ask = async (signal: AbortSignal, method: string, path: string, body: unknown): Promise<Response> => {
    const limit = AbortSignal.timeout((options.timeoutSeconds ?? 60) * 1000);
    try {
      return await fetch(`${options.base}${path}`, {
        method,
        headers: {
          ...options.headers,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, limit]),
      });
    } catch (error) {
      signal.throwIfAborted();
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${options.service} does not answer at ${options.base}: ${reason}`);
    }
  };

  return {
    call: async (signal, shape, method, path, body) => {
      for (let attempt = 1; ; attempt++) {
        const response = await ask(signal, method, path, body);
        const text = await response.text();
        const answer: unknown = text === "" ? {} : parseJson(text);
        if (response.ok) return shape.parse(answer);
        if (attempt < attempts && options.retried(response.status, method)) {
          await delay(firstPauseMs * 2 ** (attempt - 1), undefined, { signal });
          continue;
        }
        const reason = options.reasonOf(answer) ?? response.statusText;
        throw new HttpError(
          response.status,
          `${options.service}: ${method} ${path}: ${response.status} ${reason}`,
        );
      }
    },
  };
}

/** The value, or undefined where the other side says that there is no such thing. */
export async function orGone<T>(
  asked: Promise<T>,
  isGone: (error: HttpError) => boolean = ({ status }) => status === 404,
): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof HttpError && isGone(error)) return undefined;
    throw error;
  }
}

/** Asks until there is an answer other than undefined. */
export async function until<T>(
  what: string,
  limitSeconds: number,
  signal: AbortSignal,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const end = Date.now() + limitSeconds * 1000;
  while (Date.now() < end) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await delay(pollMs, undefined, { signal });
  }
  throw new Error(`${what}: not done after ${limitSeconds} s`);
}

const pollMs = 200;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
