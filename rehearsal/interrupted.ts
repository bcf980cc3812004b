/**
 * What an engine leaves that ended in the middle: its lock on the stack, and creations whose outcome the state does not
 * know. Both are settled before the next operation, as an operator does by hand (docs: after an interruption).
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

const lockSchema = z.object({ pid: z.number() });
const resourceSchema = z.looseObject({
  urn: z.string(),
  type: z.string(),
  inputs: z.record(z.string(), z.unknown()).default({}),
  pendingReplacement: z.boolean().optional(),
});
type Resource = z.output<typeof resourceSchema>;
const deploymentSchema = z.looseObject({
  resources: z.array(resourceSchema).nullish(),
  pending_operations: z.array(z.looseObject({ type: z.string(), resource: resourceSchema })).nullish(),
});

/** The id of what a creation made, or undefined when it made nothing. */
export type Find = (type: string, inputs: Readonly<Record<string, unknown>>) => Promise<string | undefined>;

/** An engine whose rehearsal has ended gets this long to write down what it did. */
const patienceMs = 15_000;

/** Ends the lock of an engine that is gone. @throws when the engine lives on. */
export async function releaseLock(stateDir: string, stack: string): Promise<void> {
  const directory = join(stateDir, ".pulumi", "locks", "organization", "flotilla", stack);
  if (!existsSync(directory)) return;
  for (const file of readdirSync(directory).filter((name) => name.endsWith(".json"))) {
    const path = join(directory, file);
    const end = Date.now() + patienceMs;
    for (let pid = holderOf(path); pid !== undefined; pid = holderOf(path)) {
      if (Date.now() > end)
        throw new Error(`the engine of an earlier run, process ${pid}, still works; end it`);
      await sleep(100);
    }
    rmSync(path, { force: true });
    removeHalfWritten(join(stateDir, ".pulumi"));
  }
}

/** The engine writes a description beside each of its files. Cut off in the middle it is empty, and the next engine stops at it. */
function removeHalfWritten(directory: string): void {
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const path = join(directory, name);
    if (name.endsWith(".tmp") || (name.endsWith(".attrs") && statSync(path).size === 0)) rmSync(path);
  }
}

/** Whether the state knows of creations that it saw begin and not end. */
export function hasUnfinished(stateDir: string, stack: string): boolean {
  const path = join(stateDir, ".pulumi", "stacks", "flotilla", `${stack}.json`);
  if (!existsSync(path)) return false;
  const state = z
    .object({ checkpoint: z.object({ latest: deploymentSchema.nullish() }) })
    .parse(JSON.parse(readFileSync(path, "utf8")));
  return (state.checkpoint.latest?.pending_operations ?? []).some(({ type }) => type === "creating");
}

export interface Settled {
  readonly deployment: unknown;
  /** Of what was found: its outputs are still to be read. */
  readonly urns: readonly string[];
}

/** Takes into the state what unfinished creations made, so that nothing is made twice, and forgets the other ones. */
export async function settleUnfinished(state: unknown, find: Find): Promise<Settled> {
  const deployment = deploymentSchema.parse(state);
  const pending = deployment.pending_operations ?? [];
  const found: Resource[] = [];
  for (const { type, resource } of pending) {
    const id = type === "creating" ? await find(resource.type, resource.inputs) : undefined;
    if (id !== undefined) found.push({ ...resource, id, outputs: resource.inputs });
  }
  return {
    deployment: {
      ...deployment,
      resources: withFound(deployment.resources ?? [], found),
      pending_operations: pending.filter(({ type }) => type !== "creating"),
    },
    urns: found.map(({ urn }) => urn),
  };
}

/** A replacement stands where the state waits for it, before what depends on it. */
function withFound(resources: readonly Resource[], found: readonly Resource[]): Resource[] {
  const replaced = new Map(found.map((each) => [each.urn, each]));
  const kept = resources.map((each) => {
    const replacement = each.pendingReplacement === true ? replaced.get(each.urn) : undefined;
    if (replacement !== undefined) replaced.delete(each.urn);
    return replacement ?? each;
  });
  return [...kept, ...replaced.values()];
}

/** The process that holds a lock, if it is an engine that runs. */
function holderOf(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const { pid } = lockSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  const command = `/proc/${pid}/cmdline`;
  return existsSync(command) && readFileSync(command, "utf8").includes("pulumi") ? pid : undefined;
}
