/** The port that every forge adapter implements. One file per forge; `index.ts` beside this names them. */
import type { Scope } from "../../fleet/model.ts";

/** What a runner needs to join: goes into Vault, never into Pulumi's state. */
export type RunnerCredential =
  | { readonly kind: "registration-token"; readonly token: string; readonly expiresAt?: string }
  | { readonly kind: "uuid-token"; readonly uuid: string; readonly token: string };

export interface RunnerSpec {
  readonly name: string;
  readonly scope: Scope;
  readonly labels: readonly string[];
  readonly ephemeral: boolean;
}

export interface RegisteredRunner {
  readonly id: string;
  readonly name: string;
  readonly online: boolean;
  readonly busy: boolean;
  readonly labels: readonly string[];
}

export interface ForgeClient {
  /**
   * Obtains what a runner of this name needs to join the scope. `id` is set when the forge makes the runner's record
   * at once (Forgejo ≥15); elsewhere the record appears when the runner joins.
   */
  createCredential(
    spec: RunnerSpec,
  ): Promise<{ readonly id?: string; readonly credential: RunnerCredential }>;
  /** The runner of this name in this scope, or undefined. */
  find(scope: Scope, name: string): Promise<RegisteredRunner | undefined>;
  /** All runners of the scope. */
  list(scope: Scope): Promise<readonly RegisteredRunner[]>;
  /**
   * Gives a runner other labels. Absent where the runner itself declares them when it starts (Forgejo, Gitea).
   */
  setLabels?(scope: Scope, id: string, labels: readonly string[]): Promise<void>;
  /** Removes the runner; a runner that is gone already is a success. */
  remove(scope: Scope, id: string): Promise<void>;
}

/** An answer of a forge that is no success. `message` names forge, route and what to do; it never holds a credential. */
export class ForgeError extends Error {
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.name = "ForgeError";
    this.status = status;
  }
}
