/** Stand-in: the runners that a simulated forge knows, kept in the world. */
import { randomBytes } from "node:crypto";
import type { ForgeKind, Scope } from "../../fleet/model.ts";
import type { RunnerCredential } from "../../provider/forges/forge.ts";
import type { World } from "../world.ts";
import { Refusal } from "./server.ts";

/** A runner as the forge knows it. */
export interface ForgeRunner {
  readonly id: string;
  readonly scope: Scope;
  readonly name: string;
  readonly online: boolean;
  readonly busy: boolean;
  readonly ephemeral: boolean;
  readonly labels: readonly string[];
}

/** What a runner program shows: what Vault holds for it, a JIT configuration, or that it has joined before. */
export type JoinCredential =
  | RunnerCredential
  | { readonly kind: "jit-config"; readonly encoded: string }
  | { readonly kind: "joined"; readonly id: string };

export interface Join {
  /**
   * What the runner is configured for: on GitHub the scope or its page (`<url>/owner/name`). Gitea and Forgejo tell it
   * from the credential and refuse another.
   */
  readonly scope?: Scope | string;
  readonly name: string;
  readonly labels: readonly string[];
  readonly ephemeral: boolean;
  readonly credential: JoinCredential;
  /** GitHub: take the place of a runner of the same name. */
  readonly replace?: boolean;
}

export interface ForgeServer {
  /** Base address, as in a fleet's `forges`. */
  readonly url: string;
  readonly kind: ForgeKind;
  /** What a runner program does when it starts. @throws Refusal with the status that the forge would answer. */
  connectRunner(join: Join): { readonly id: string };
  /** The runner program has stopped. A record stays, offline. */
  disconnectRunner(id: string): void;
  runners(): readonly ForgeRunner[];
  /** A job starts, or ends. An ephemeral runner is gone with the end of its job. */
  setBusy(name: string, busy: boolean): void;
  close(): Promise<void>;
}

export interface RunnerRecord {
  id: number;
  scope: Scope;
  name: string;
  online: boolean;
  busy: boolean;
  ephemeral: boolean;
  labels: string[];
  /** When it was last online or made, in ms. */
  lastSeen: number;
  /** Forgejo: what the runner identifies itself by. */
  uuid?: string;
  token?: string;
  /** GitHub: the single use of a JIT configuration that is still open. */
  jit?: string;
}

interface RegistrationToken {
  readonly token: string;
  readonly scope: Scope;
  readonly expiresAt: number | undefined;
}

interface State {
  nextId: number;
  runners: RunnerRecord[];
  tokens: RegistrationToken[];
}

export type Runners = ReturnType<typeof openRunners>;

export function openRunners(world: World, name: string, now: () => number) {
  const part = `forge-${name}`;
  const state = world.load<State>(part, { nextId: 1, runners: [], tokens: [] });
  const save = () => world.save(part, state);
  const get = (id: string | number) => state.runners.find((runner) => runner.id === Number(id));
  const removeRecord = (id: number) => {
    state.runners = state.runners.filter((runner) => runner.id !== id);
    save();
  };

  return {
    save,
    get,
    all: () => state.runners,
    of: (scope: Scope) => state.runners.filter((runner) => sameScope(runner.scope, scope)),
    add: (runner: Omit<RunnerRecord, "id" | "busy" | "lastSeen">): RunnerRecord => {
      const record: RunnerRecord = { ...runner, id: state.nextId++, busy: false, lastSeen: now() };
      state.runners.push(record);
      save();
      return record;
    },
    remove: removeRecord,
    removeWhere: (gone: (runner: RunnerRecord) => boolean) => {
      for (const { id } of state.runners.filter(gone)) removeRecord(id);
    },
    /** A new token; without `livesMs` the scope's own, which is always the same. */
    registrationToken: (scope: Scope, prefix: string, livesMs?: number): RegistrationToken => {
      state.tokens = state.tokens.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now());
      const kept = livesMs === undefined && state.tokens.find((token) => sameScope(token.scope, scope));
      if (kept) return kept;
      const token = `${prefix}${randomBytes(20).toString("hex")}`;
      const made = { token, scope, expiresAt: livesMs === undefined ? undefined : now() + livesMs };
      state.tokens.push(made);
      save();
      return made;
    },
    /** The scope that a registration token admits to, while it lives. */
    scopeOf: (token: string): Scope | undefined =>
      state.tokens.find((made) => made.token === token && (made.expiresAt ?? Infinity) > now())?.scope,
    /** The programs' side, the same for all forges. */
    disconnect: (id: string) => {
      const runner = get(id);
      if (runner === undefined) return;
      Object.assign(runner, { online: false, busy: false, lastSeen: now() });
      save();
      world.record({ part: name, call: "runner disconnects", detail: runner.name });
    },
    /** A runner program connects as a record that is there. */
    goOnline: (id: string, scope?: Scope): { readonly id: string } => {
      const runner = get(id);
      if (runner === undefined || (scope !== undefined && !sameScope(scope, runner.scope))) {
        throw new Refusal(404, "the runner was removed from the forge; it has to join anew");
      }
      Object.assign(runner, { online: true, lastSeen: now() });
      save();
      world.record({ part: name, call: "runner connects", detail: runner.name });
      return { id };
    },
    setBusy: (runnerName: string, busy: boolean) => {
      const runner = state.runners.find((one) => one.name === runnerName && one.online);
      if (runner === undefined) throw new Refusal(404, `no runner ${runnerName} is online`);
      if (runner.ephemeral && runner.busy && !busy) return removeRecord(runner.id);
      runner.busy = busy;
      save();
    },
    listed: (): readonly ForgeRunner[] =>
      state.runners.map(({ id, scope, name: own, online, busy, ephemeral, labels }) => ({
        id: String(id),
        scope,
        name: own,
        online,
        busy,
        ephemeral,
        labels,
      })),
  };
}

/** Names of users, orgs and repos do not differ by case alone. */
export function sameScope(a: Scope, b: Scope): boolean {
  return scopeKey(a) === scopeKey(b);
}

function scopeKey(scope: Scope): string {
  const parts: string[] = [scope.kind];
  if (scope.kind === "repo") parts.push(scope.owner);
  if (scope.kind !== "instance") parts.push(scope.name);
  return parts.join("/").toLowerCase();
}
