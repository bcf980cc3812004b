/** What the provider's tests share: a directory, programs that are not the real ones, and services that lie in memory. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";
import type { Context } from "../../../provider/protocol.ts";
import type { Services } from "../../../provider/services.ts";

export interface Directory {
  file(name: string): string;
  /** A shell script first on PATH, until the test's end. */
  program(name: string, body: string): void;
  /** Lines of a file that programs write to; none when it is not there. */
  lines(name: string): string[];
}

export function useDirectory(): Directory {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "flotilla-provider-"));
    mkdirSync(join(dir, "bin"));
    vi.stubEnv("PATH", `${join(dir, "bin")}${delimiter}${process.env.PATH}`);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
  });
  const file = (name: string) => join(dir, name);
  return {
    file,
    program: (name, body) => {
      writeFileSync(file(`bin/${name}`), `#!/bin/sh\ncd ${dir}\n${body}\n`);
      chmodSync(file(`bin/${name}`), 0o755);
    },
    lines: (name) => (existsSync(file(name)) ? readFileSync(file(name), "utf8").trim().split("\n") : []),
  };
}

export interface RecordedContext extends Context {
  /** What was said, as `warn: message`. */
  readonly said: string[];
  cancel(): void;
}

export function contextOf(name: string): RecordedContext {
  const abort = new AbortController();
  const said: string[] = [];
  return {
    urn: `urn:pulumi:test::flotilla::flotilla:index:Test::${name}`,
    name,
    preview: false,
    signal: abort.signal,
    info: (message) => void said.push(`info: ${message}`),
    warn: (message) => void said.push(`warn: ${message}`),
    progress: (message) => void said.push(`progress: ${message}`),
    said,
    cancel: () => abort.abort(new Error("cancelled")),
  };
}

/** Only what a test gives is there: a resource that reaches for more fails. */
export function services(parts: { readonly [Part in keyof Services]?: unknown }): () => Services {
  return () => parts as unknown as Services;
}

/** The message that the promise ends with. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error.message;
  throw new Error("expected an error", { cause: error });
}

/** A process that has ended and only waits to be reaped is not alive. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !readFileSync(stat, "utf8").includes(") Z ");
}
