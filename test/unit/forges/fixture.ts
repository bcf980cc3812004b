/** A world in a temporary directory, and what the tests of all forges do with it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { Forge, Scope } from "../../../fleet/model.ts";
import { ForgeError } from "../../../provider/forges/forge.ts";
import type { ForgeServer } from "../../../rehearsal/forges/runners.ts";
import { openWorld, type World } from "../../../rehearsal/world.ts";

export const NAME = "code";
export const REPO: Scope = { kind: "repo", owner: "ada", name: "engine" };
export const ORG: Scope = { kind: "org", name: "analytical" };

export interface Fixture {
  readonly world: World;
  /** Keeps the server running until the test's end. */
  readonly keep: (server: Promise<ForgeServer>) => Promise<ForgeServer>;
  readonly forgeAt: (server: ForgeServer) => Forge;
  /** The next request, or the next one of this method, meets the fault. */
  readonly inject: (kind: string, method?: string) => void;
  /** Every call that the forge received, e.g. `GET /version`. */
  readonly calls: () => readonly string[];
  /** Everything the world wrote down for people to read. */
  readonly log: () => string;
}

export function useFixture(): Fixture {
  let world: World | undefined;
  let servers: ForgeServer[] = [];
  const current = (): World => {
    if (world === undefined) throw new Error("only within a test");
    return world;
  };
  const log = () => readFileSync(join(current().dir, "calls.jsonl"), "utf8");

  beforeEach(() => {
    world = openWorld(mkdtempSync(join(tmpdir(), "flotilla-forges-")));
    servers = [];
  });
  afterEach(async () => {
    await Promise.all(servers.map((server) => server.close()));
    rmSync(current().dir, { recursive: true });
  });

  return {
    get world() {
      return current();
    },
    keep: async (starting) => {
      const server = await starting;
      servers.push(server);
      return server;
    },
    forgeAt: ({ kind, url }) => ({ name: NAME, kind, url }),
    inject: (kind, method) => {
      const point = method === undefined ? `forge:${NAME}` : `forge:${NAME}:${method}`;
      current().save("faults", { [point]: { kind, times: 1 } });
    },
    log,
    calls: () =>
      log()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).call),
  };
}

/** The ForgeError that the promise ends with. */
export async function failure(promise: Promise<unknown>): Promise<ForgeError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ForgeError) return error;
  throw new Error("expected a ForgeError", { cause: error });
}
