/** The world of a rehearsal: one directory that holds everything, and what its parts share. */
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/** One request or command that the world received. Holds no secret. */
export interface Call {
  readonly part: string;
  readonly call: string;
  readonly detail?: string;
}

export interface World {
  readonly dir: string;
  /** Appends to `calls.jsonl`, with the time. */
  record(call: Call): void;
  /** A loopback port, chosen once and kept. */
  port(name: string): Promise<number>;
  /** State of a part, from `<name>.json`. */
  load<T>(name: string, initial: T): T;
  save(name: string, value: unknown): void;
  /** A random token, made once and kept in `secrets.json` (0600). */
  secret(name: string): string;
  /** Takes one occurrence of the fault injected at this point. */
  fault(point: string): string | undefined;
}

/** Faults by point: what happens, and how often (default: once). */
export type Faults = { readonly [point: string]: { readonly kind: string; readonly times: number } };

export function openWorld(dir: string): World {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(dir, `${name}.json`);

  const load = <T>(name: string, initial: T): T =>
    existsSync(path(name)) ? (JSON.parse(readFileSync(path(name), "utf8")) as T) : initial;

  const save = (name: string, value: unknown): void => {
    const temporary = `${path(name)}.${process.pid}.new`;
    writeFileSync(temporary, JSON.stringify(value, undefined, 1), { mode: 0o600 });
    renameSync(temporary, path(name));
  };

  return {
    dir,
    load,
    save,
    record: (call) =>
      appendFileSync(
        join(dir, "calls.jsonl"),
        `${JSON.stringify({ time: new Date().toISOString(), ...call })}\n`,
      ),
    port: async (name) => {
      for (;;) {
        const kept = load<Record<string, number>>("ports", {});
        if (kept[name] !== undefined) return kept[name];
        const port = await freePort();
        if (Object.values(load<Record<string, number>>("ports", {})).includes(port)) continue;
        save("ports", { ...load<Record<string, number>>("ports", {}), [name]: port });
        return port;
      }
    },
    secret: (name) => {
      const kept = load<Record<string, string>>("secrets", {});
      const value = kept[name] ?? randomBytes(32).toString("hex");
      if (kept[name] === undefined) save("secrets", { ...kept, [name]: value });
      return value;
    },
    fault: (point) => {
      const faults = load<Faults>("faults", {});
      const fault = faults[point];
      if (fault === undefined) return undefined;
      const { [point]: _, ...others } = faults;
      save("faults", fault.times > 1 ? { ...others, [point]: { ...fault, times: fault.times - 1 } } : others);
      return fault.kind;
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null
          ? resolve(address.port)
          : reject(new Error("no free port")),
      );
    });
  });
}
