/** A rehearsal in a directory of its own, from a clone of this checkout that a test may edit. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OperationResult } from "../../rehearsal/engine.ts";
import {
  openRehearsal,
  type RecordedCall,
  type Rehearsal,
  type RehearsalOptions,
} from "../../rehearsal/rehearsal.ts";

const repo = join(import.meta.dirname, "..", "..");
const parts = [
  "index.ts",
  "package.json",
  "Pulumi.yaml",
  "Pulumi.prod.yaml",
  "fleet",
  "components",
  "provider",
  "nix",
];

export interface Scratch {
  readonly dir: string;
  /** A checkout with the program, the provider and the Nix side; dependencies are this one's. */
  clone(name: string): string;
  open(options?: Partial<RehearsalOptions>): Promise<Rehearsal>;
  remove(): void;
}

export function scratch(): Scratch {
  const dir = mkdtempSync(join(tmpdir(), "flotilla-test-"));
  const clone = (name: string): string => {
    const to = join(dir, name);
    for (const part of parts) cpSync(join(repo, part), join(to, part), { recursive: true });
    symlinkSync(join(repo, "node_modules"), join(to, "node_modules"));
    return to;
  };
  return {
    dir,
    clone,
    open: (options = {}) => openRehearsal({ repo, stack: "prod", dir: join(dir, "world"), ...options }),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** What changed, as `op name`, sorted; the stack itself and its gates are left out. */
export function changes(result: OperationResult): string[] {
  return result.steps
    .filter(({ type }) => type !== "pulumi:pulumi:Stack" && type !== "flotilla:index:Gate")
    .map(({ op, name }) => `${op} ${name}`)
    .toSorted();
}

/** Hosts that any change is about, sorted. */
export function touchedHosts(result: OperationResult, hosts: readonly string[]): string[] {
  const names = changes(result).map((change) => change.split(" ")[1] ?? "");
  return hosts
    .filter((host) => names.some((name) => name === host || name.startsWith(`${host}-`)))
    .toSorted();
}

/** The calls that an operation made, without what simulated runners do by themselves. */
export async function callsDuring(
  rehearsal: Rehearsal,
  work: () => Promise<unknown>,
): Promise<RecordedCall[]> {
  const before = rehearsal.calls().length;
  await work();
  return rehearsal
    .calls()
    .slice(before)
    .filter(({ call }) => !call.startsWith("runner "));
}

/** Fails with the operation's own words. */
export function succeeded(result: OperationResult): OperationResult {
  if (!result.ok)
    throw new Error(`the operation failed:\n${result.errors.join("\n")}\n${result.output.slice(-3000)}`);
  return result;
}
