/** What an operator needs of a failed operation: the causes, and the hosts that waited for them in vain. */
import type { OperationResult } from "./engine.ts";
import type { HostRow } from "./summary.ts";

/** The SDK's own words for "something that this is made of failed", one for each dependant. */
const consequence = /failed to register|^Unhandled exception/;

/** Errors without their consequences, each once, with the resource's name. */
export function realErrors(result: OperationResult): readonly string[] {
  const errors = result.diagnostics
    .filter(({ severity }) => severity === "error")
    .filter(({ message }) => !consequence.test(message))
    .map(({ urn, message }) => {
      const name = urn.slice(urn.lastIndexOf("::") + 2);
      return name === "" || message.includes(name.replace(/-(install|converge|server)$/, ""))
        ? message
        : `${name}: ${message}`;
    });
  const unique = [...new Set(errors)];
  return unique.length > 0 ? unique : result.errors;
}

/** Hosts that are not where the program wants them, though nothing of their own failed. */
export function heldBack(rows: readonly HostRow[], result: OperationResult): readonly string[] {
  const failed = result.steps.filter((step) => step.failed).map(({ name }) => name);
  return rows
    .filter(({ host, state }) => state !== "converged" && !failed.some((name) => name.startsWith(`${host}-`)))
    .map(({ host }) => host);
}
