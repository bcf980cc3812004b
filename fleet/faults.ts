/** What is wrong with a configuration: every fault at once, a line each, no stack trace. */
import { RunError } from "@pulumi/pulumi";

export interface Fault {
  /** Where, as the operator wrote it: `hosts.builder.disk`. */
  readonly path: string;
  /** What was found and how to mend it. */
  readonly message: string;
}

/** Pulumi shows a RunError's message alone. */
export class ConfigError extends RunError {
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
    const lines = faults.map(({ path, message }) => `  ${path}: ${message}`);
    super(`The configuration has ${count}; nothing was changed.\n${lines.join("\n")}`);
    this.faults = faults;
  }
}

/** A found value as an operator would recognise it; a private key in the wrong place stays hidden. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  if (text.includes("PRIVATE KEY")) return "a private key";
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** The choice that an operator has. */
export function oneOf(names: Iterable<string>): string {
  const sorted = [...names].toSorted();
  return sorted.length === 0 ? "there is none yet" : `one of ${sorted.join(", ")}`;
}
