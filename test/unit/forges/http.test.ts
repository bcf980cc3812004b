import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { HttpError, type JsonRequest, requestJson, waitAskedFor } from "../../../provider/http.ts";

const answerSchema = z.object({ ok: z.boolean() });
type Answer = z.infer<typeof answerSchema>;

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Serves one listener per request, the last one for all that follow, and counts. */
async function serve(...listeners: RequestListener[]) {
  const seen = { count: 0 };
  server = createServer((request, response) => {
    const listener = listeners[Math.min(seen.count++, listeners.length - 1)];
    listener?.(request, response);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const ask = (request: Partial<JsonRequest<Answer>> = {}) =>
    requestJson({
      method: "GET",
      url: `http://127.0.0.1:${address.port}/v1/thing?token=query-secret`,
      headers: { authorization: "token header-secret" },
      schema: answerSchema,
      what: "Vault",
      firstDelayMs: 5,
      ...request,
    });
  return { seen, ask };
}

const ok: RequestListener = (_, response) => response.end('{"ok":true}');
const status =
  (code: number, headers: Record<string, string> = {}): RequestListener =>
  (_, response) =>
    response.writeHead(code, headers).end('{"secret":"answer-secret"}');

async function httpError(promise: Promise<unknown>): Promise<HttpError> {
  const error = await promise.catch((reason: unknown) => reason);
  if (error instanceof HttpError) return error;
  throw new Error("expected an HttpError", { cause: error });
}

describe("requestJson", () => {
  it("tries again after a 500, a lost connection and an answer cut short", async () => {
    const { seen, ask } = await serve(
      status(500),
      (request) => request.socket.destroy(),
      (_, response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write('{"ok"', () => response.destroy());
      },
      ok,
    );
    expect(await ask()).toEqual({ ok: true });
    expect(seen.count).toBe(4);
  });

  it("gives up after a bounded number of tries, with the last status", async () => {
    const { seen, ask } = await serve(status(503));
    const error = await httpError(ask({ retries: 2 }));
    expect(error.status).toBe(503);
    expect(error.transient).toBe(true);
    expect(seen.count).toBe(3);
  });

  it("sends a POST once, unless the caller says that it may be repeated", async () => {
    const { seen, ask } = await serve(status(500), status(500), ok);
    await httpError(ask({ method: "POST", body: {} }));
    expect(seen.count).toBe(1);
    expect(await ask({ method: "POST", body: {}, retry: true })).toEqual({ ok: true });
  });

  it("does not repeat what the server refuses", async () => {
    const { seen, ask } = await serve(status(403));
    const error = await httpError(ask());
    expect([error.status, error.transient]).toEqual([403, false]);
    expect(seen.count).toBe(1);
  });

  it("repeats a 403 that asks to wait: GitHub's word for too many requests", async () => {
    const { ask } = await serve(status(403, { "retry-after": "0" }), ok);
    expect(await ask()).toEqual({ ok: true });
  });

  it("waits as long as a 429 asks for", async () => {
    const { ask } = await serve(status(429, { "retry-after": "1" }), ok);
    const started = performance.now();
    await ask();
    expect(performance.now() - started).toBeGreaterThan(990);
  });

  it("does not wait for more than a minute, and says what was asked for", async () => {
    const { seen, ask } = await serve(status(429, { "retry-after": "3600" }));
    expect((await httpError(ask())).message).toMatch(/answered 429 and asks to wait 3600 s$/);
    expect(seen.count).toBe(1);
  });

  it("limits the time of each try", async () => {
    const { seen, ask } = await serve(() => {}, ok);
    expect(await ask({ timeoutMs: 50 })).toEqual({ ok: true });
    expect(seen.count).toBe(2);
    const { ask: askAgain } = await serve(() => {});
    expect((await httpError(askAgain({ timeoutMs: 50, retries: 0 }))).message).toMatch(
      /no answer within 0.05 s/,
    );
  });

  it("ends at once when the caller's signal does, with its reason", async () => {
    const { ask } = await serve(status(429, { "retry-after": "30" }));
    const cancel = new AbortController();
    const asked = ask({ signal: cancel.signal });
    setTimeout(() => cancel.abort(new Error("cancelled by the operator")), 50);
    await expect(asked).rejects.toThrow("cancelled by the operator");
  });

  it("never follows a redirect, which would take the token along", async () => {
    const { seen, ask } = await serve(status(307, { location: "https://elsewhere.example/v1?x=1" }));
    expect((await httpError(ask())).message).toMatch(
      /307: moved to https:\/\/elsewhere.example\/v1; configure/,
    );
    expect(seen.count).toBe(1);
  });

  it("refuses an answer of another form by its path alone", async () => {
    const { ask } = await serve((_, response) => response.end('{"ok":"answer-secret"}'));
    expect((await httpError(ask())).message).toMatch(/answered 200, but not in the expected form: ok;/);
    const { ask: askPage } = await serve((_, response) => response.end("<html>"));
    expect((await httpError(askPage())).message).toMatch(/answered 200, but not in JSON/);
  });

  it("names who, method and path in errors, and no query, header or answer", async () => {
    for (const code of [400, 401, 404, 500]) {
      const { ask } = await serve(status(code));
      const { message } = await httpError(ask({ retries: 0 }));
      expect(message).toMatch(new RegExp(`^Vault: GET http://127.0.0.1:\\d+/v1/thing answered ${code}$`));
    }
  });

  it("says that nobody answers, and why", async () => {
    const { ask } = await serve(ok);
    server?.close();
    expect((await httpError(ask({ retries: 1 }))).message).toMatch(
      /no answer \(ECONNREFUSED\); is the server up/,
    );
  });
});

describe("waitAskedFor", () => {
  const answer = (value: string) => new Response(null, { headers: { "retry-after": value } });

  it("reads seconds and dates; what is past needs no wait", () => {
    const now = Date.parse("2026-11-21T12:00:00Z");
    expect(waitAskedFor(answer("7"), now)).toBe(7000);
    expect(waitAskedFor(answer("Sat, 21 Nov 2026 12:00:30 GMT"), now)).toBe(30_000);
    expect(waitAskedFor(answer("Sat, 21 Nov 2026 11:00:00 GMT"), now)).toBe(0);
    expect(waitAskedFor(answer("soon"), now)).toBeUndefined();
  });
});
