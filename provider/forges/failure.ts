/** What a forge's refusal means for the operator, in words. */
import type { Forge, Scope } from "../../fleet/model.ts";
import { ForgeError } from "./forge.ts";

/** The scope as an operator names it, e.g. `repo owner/name`. */
export function scopeText(scope: Scope): string {
  switch (scope.kind) {
    case "repo":
      return `repo ${scope.owner}/${scope.name}`;
    case "instance":
      return "the instance";
    default:
      return `${scope.kind} ${scope.name}`;
  }
}

export interface Failure {
  readonly forge: Forge;
  readonly scope: Scope | undefined;
  /** Method and path. */
  readonly route: string;
  readonly status: number | undefined;
  /** What happened, when there is no status or it alone does not say. */
  readonly detail?: string;
  /** How to mend it, where the status alone would mislead. */
  readonly mend?: string;
  /** The least permission that the credential needs. */
  readonly permission: string;
}

export function forgeError(failure: Failure): ForgeError {
  const { forge, status, detail } = failure;
  const found = [
    `forge "${forge.name}": ${failure.route}`,
    ...(status === undefined ? [] : [`answered ${status}`]),
    ...(detail === undefined ? [] : [`(${detail})`]),
  ].join(" ");
  const mend = failure.mend ?? mending(failure);
  return new ForgeError(mend === undefined ? found : `${found}: ${mend}`, status);
}

function mending({ forge, scope, status, permission }: Failure): string | undefined {
  const where = scope === undefined ? forge.url : scopeText(scope);
  switch (status) {
    case 401:
      return `the credential is not accepted; set flotilla:credentials.${forge.name} to a valid one`;
    case 403:
      return `the credential may not manage the runners of ${where}; it needs ${permission}`;
    case 404:
      return `${where} is not there, or hidden from the credential; check the name, and that it has ${permission}`;
    case 429:
      return "too many requests; run up again later";
    default:
      return status !== undefined && status >= 500
        ? "the forge is in trouble; run up again later"
        : undefined;
  }
}
