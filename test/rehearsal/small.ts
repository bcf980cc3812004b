/** A fleet that a test can afford to break: one kind, three hosts, a runner of each forge; its Vault mounts are its own. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { OperationResult } from "../../rehearsal/engine.ts";
import { heldBack, realErrors } from "../../rehearsal/failures.ts";
import { readInside } from "../../rehearsal/hosts/inside.ts";
import { type Rehearsal, readCalls } from "../../rehearsal/rehearsal.ts";
import { hostRows } from "../../rehearsal/summary.ts";
import type { Faults, World } from "../../rehearsal/world.ts";
import { resourcesOf, type StateResource } from "./state.ts";

export const smallConfig = {
  "flotilla:forges": {
    github: { kind: "github" },
    code: { kind: "forgejo", url: "https://code.example.org" },
  },
  "flotilla:vault": { address: "https://vault.example.org:8200" },
  "flotilla:sshFrom": ["192.0.2.0/24"],
  "flotilla:hosts": {
    builder: {
      provider: "hetzner",
      type: "cpx22",
      location: "nbg1",
      count: 3,
      tags: ["dev", "runners", "small"],
    },
  },
  "flotilla:runners": {
    build: { forge: "github", scope: { repo: "owner/name" }, on: ["runners"] },
    native: { forge: "code", scope: { user: "torjus" }, on: ["runners"] },
  },
};

/** What happens next at each point, once. */
export function inject(world: World, faults: Readonly<Record<string, string>>, times = 1): void {
  const injected: Faults = Object.fromEntries(
    Object.entries(faults).map(([point, kind]) => [point, { kind, times }]),
  );
  world.save("faults", injected);
}

/** Faults that nothing has met. */
export const pendingFaults = (world: World) => Object.keys(world.load<Faults>("faults", {}));

export interface Aftermath {
  readonly errors: string;
  readonly converged: readonly string[];
  readonly heldBack: readonly string[];
}

/** How an operation left the fleet; the state is compared with the hosts on the way. */
export async function aftermath(rehearsal: Rehearsal, result: OperationResult): Promise<Aftermath> {
  const state = await rehearsal.engine.exportState();
  expectHonest(rehearsal, resourcesOf(state));
  const rows = hostRows(state, result.fleet);
  return {
    errors: realErrors(result).join("\n"),
    converged: rows.filter((row) => row.state === "converged").map(({ host }) => host),
    heldBack: heldBack(rows, result),
  };
}

/** A host runs the revision that the state claims, or the state claims none. */
function expectHonest(rehearsal: Rehearsal, resources: readonly StateResource[]): void {
  const claims = resources
    .filter(({ type }) => type === "flotilla:index:Converge")
    .map(({ inputs, outputs }) => [String(inputs?.host), String(outputs?.revision ?? "").split("-")[0]]);
  const runs = new Map(
    rehearsal.parts.hosts
      .list()
      .map(({ name, root }) => [name, readInside(root, "/run/current-system/flotilla-revision")?.trim()]),
  );
  for (const [host = "", claimed] of claims)
    expect(["", "unknown", runs.get(host)], `what the state says that ${host} runs`).toContain(claimed);
}

/** How often each machine's disk was laid out. */
export const wipes = (rehearsal: Rehearsal) =>
  Object.fromEntries(rehearsal.parts.hosts.list().map(({ name, wipes: count }) => [name, count]));

/** Names of the servers that are paid for. */
export const servers = (world: World) =>
  world
    .load<{ readonly servers: readonly { readonly name: string }[] }>("hetzner", { servers: [] })
    .servers.map(({ name }) => name)
    .toSorted();

export async function until(what: string, seconds: number, isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !isSo(); await sleep(20))
    if (Date.now() > end) throw new Error(`${what}: not so after ${seconds} s`);
}

/** Waits for a call that the world has not received before. */
export function nextCall(world: World, matches: RegExp): Promise<void> {
  const known = readCalls(world).length;
  return until(`a call ${matches}`, 60, () =>
    readCalls(world)
      .slice(known)
      .some(({ part, call, detail = "" }) => matches.test(`${part} ${call} ${detail}`)),
  );
}

/** Processes whose command line names all of this. */
export function processes(...words: readonly string[]): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const command = readFileSync(join("/proc", pid, "cmdline"), "utf8").replaceAll("\0", " ");
        return words.every((word) => command.includes(word));
      } catch {
        return false;
      }
    })
    .map(Number);
}
