/**
 * Stand-in for the init of an installed host: vault-agent and one unit per runner. It looks at what the host holds
 * (the running system, its identity, its AppRole) and brings its units there.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Identity, Kind, KindRunner, Scope } from "../../fleet/model.ts";
import type { RunnerCredential } from "../../provider/forges/forge.ts";
import { inside, readInside } from "./inside.ts";
import { login, type RunnerSecret, readSecret, VaultRefusal } from "./vault.ts";

/** A runner as it shows itself to its forge. */
export interface RunnerConnection {
  readonly scope: Scope;
  readonly name: string;
  readonly labels: readonly string[];
  readonly ephemeral: boolean;
  /** What Vault holds for it, or the registration that it has from an earlier start. */
  readonly credential: RunnerCredential | { readonly kind: "joined"; readonly id: string };
}

/** How simulated runners reach the simulated forges. */
export interface RunnerForges {
  /** The runner joins and is online; rejects when the forge refuses its credential. */
  connectRunner(forgeUrl: string, runner: RunnerConnection): Promise<{ readonly id: string }>;
  /** The runner's process has ended: it is offline. */
  disconnectRunner(forgeUrl: string, id: string): Promise<void>;
}

interface Unit {
  readonly forgeUrl: string;
  readonly id: string;
  /** Hash of all that the connection was made of. */
  readonly made: string;
}

const UNITS = "run/flotilla-units";
/** What a runner program keeps in its state directory. */
const REGISTERED = "var/lib/flotilla-registered";
/** Between looks at Vault while a secret is missing, and when all is well. */
const WAITING_MILLIS = 1000;
const IDLE_MILLIS = 30_000;

export class RunnerUnits {
  readonly #root: string;
  readonly #forges: RunnerForges;
  readonly #units = new Map<string, Unit>();
  #seen = "";
  #token: string | undefined;
  #queue: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #running = true;

  constructor(root: string, forges: RunnerForges) {
    this.#root = root;
    this.#forges = forges;
  }

  /** Looks for changes; cheap when there are none. */
  check(): void {
    const now = this.#fingerprint();
    if (now === this.#seen) return;
    this.#seen = now;
    this.#enqueue(true);
  }

  /** Resolves when what was seen so far has been acted on. */
  settled(): Promise<void> {
    return this.#queue;
  }

  /** Ends all units, as a power-off does. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    await this.#queue;
    await Promise.all([...this.#units.keys()].map((placement) => this.#disconnect(placement)));
  }

  #enqueue(freshLogin: boolean): void {
    clearTimeout(this.#timer);
    this.#queue = this.#queue.then(async () => {
      if (!this.#running) return;
      if (freshLogin) this.#token = undefined;
      const waiting = await this.#converge();
      if (!this.#running) return;
      if (waiting === undefined) return;
      this.#timer = setTimeout(() => this.#enqueue(false), waiting ? WAITING_MILLIS : IDLE_MILLIS);
      this.#timer.unref();
    });
  }

  /** Whether a unit still waits for something; undefined when the host has no units. */
  async #converge(): Promise<boolean | undefined> {
    const kind = readJson<Kind>(this.#root, "/run/current-system/kind.json");
    const identity = readJson<Identity>(this.#root, "/etc/flotilla/identity.json");
    const drained = new Set(list(join(this.#root, "run/flotilla/drained")));
    const wanted = new Map<string, KindRunner>();
    for (const { name, runner, instance } of identity?.runners ?? []) {
      const definition = kind?.runners.find((each) => each.name === runner);
      if (definition !== undefined && !drained.has(`flotilla-runner-${runner}-${instance}.service`))
        wanted.set(name, definition);
    }
    for (const placement of [...this.#units.keys()])
      if (!wanted.has(placement)) await this.#disconnect(placement);
    for (const placement of list(join(this.#root, UNITS)))
      if (!wanted.has(placement)) rmSync(join(this.#root, UNITS, placement), { force: true });
    if (kind === undefined || identity === undefined || wanted.size === 0) return undefined;

    let waiting = false;
    for (const [placement, runner] of wanted) {
      try {
        const secret = await this.#secret(kind, identity.name, placement);
        if (secret === undefined) {
          waiting = true;
          this.#report(placement, `waiting: Vault has no secret at hosts/${identity.name}/${placement}`);
          continue;
        }
        await this.#connect(placement, runner, secret);
        this.#report(placement, "active");
      } catch (error) {
        waiting = true;
        this.#report(placement, `failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return waiting;
  }

  async #secret(kind: Kind, host: string, placement: string): Promise<RunnerSecret | undefined> {
    const read = async () => {
      this.#token ??= await this.#login(kind);
      return readSecret(kind.vault, this.#token, host, placement);
    };
    try {
      return await read();
    } catch (error) {
      // A token that has run out is refused; the AppRole gives a new one.
      if (!(error instanceof VaultRefusal) || error.status !== 403 || this.#token === undefined) throw error;
      this.#token = undefined;
      return read();
    }
  }

  #login(kind: Kind): Promise<string> {
    const roleId = readInside(this.#root, "/var/lib/flotilla/approle/role-id");
    const secretId = readInside(this.#root, "/var/lib/flotilla/approle/secret-id");
    if (roleId === undefined || secretId === undefined)
      throw new Error("no Vault identity at /var/lib/flotilla/approle");
    return login(kind.vault, roleId.trim(), secretId.trim());
  }

  async #connect(placement: string, runner: KindRunner, secret: RunnerSecret): Promise<void> {
    const connection: RunnerConnection = {
      scope: runner.scope,
      name: placement,
      labels: runner.labels,
      ephemeral: runner.ephemeral,
      credential: credential(secret),
    };
    const made = createHash("sha256")
      .update(JSON.stringify([runner.forge.url, connection]))
      .digest("hex");
    if (this.#units.get(placement)?.made === made) return;
    await this.#disconnect(placement);
    this.#render(placement, secret);
    const id = await this.#join(runner.forge.url, connection, secret);
    this.#units.set(placement, { forgeUrl: runner.forge.url, id, made });
  }

  /** A runner that has registered keeps that over restarts, until its registration is a new one or the forge forgot it. */
  async #join(forgeUrl: string, connection: RunnerConnection, secret: RunnerSecret): Promise<string> {
    const file = join(this.#root, REGISTERED, `${connection.name}.json`);
    const kept = readJson<{ id: string; mark: string }>(this.#root, `/${REGISTERED}/${connection.name}.json`);
    if (secret.kind === "registration-token" && kept !== undefined && kept.mark === secret.mark) {
      const joined = { ...connection, credential: { kind: "joined", id: kept.id } as const };
      const again = await this.#forges.connectRunner(forgeUrl, joined).catch(() => undefined);
      if (again !== undefined) return again.id;
    }
    const { id } = await this.#forges.connectRunner(forgeUrl, connection);
    mkdirSync(join(this.#root, REGISTERED), { recursive: true });
    writeFileSync(file, JSON.stringify({ id, mark: secret.mark }));
    return id;
  }

  async #disconnect(placement: string): Promise<void> {
    const unit = this.#units.get(placement);
    if (unit === undefined) return;
    this.#units.delete(placement);
    // A forge that is gone has no runner to mark as offline.
    await this.#forges.disconnectRunner(unit.forgeUrl, unit.id).catch(() => {});
  }

  #render(placement: string, secret: RunnerSecret): void {
    const directory = join(this.#root, "run/secrets/runners", placement);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, "token"), secret.token, { mode: 0o400 });
    if (secret.uuid !== undefined) writeFileSync(join(directory, "uuid"), secret.uuid, { mode: 0o400 });
  }

  #report(placement: string, state: string): void {
    mkdirSync(join(this.#root, UNITS), { recursive: true });
    writeFileSync(join(this.#root, UNITS, placement), `${state}\n`);
  }

  #fingerprint(): string {
    const files = [
      "/etc/flotilla/identity.json",
      "/var/lib/flotilla/approle/role-id",
      "/var/lib/flotilla/approle/secret-id",
    ];
    return [
      inside(this.#root, "/run/current-system") ?? "",
      ...files.map((path) => stamp(join(this.#root, path))),
      ...list(join(this.#root, "run/flotilla/drained")),
    ].join("\n");
  }
}

function credential(secret: RunnerSecret): RunnerCredential {
  if (secret.kind === "uuid-token")
    return { kind: "uuid-token", uuid: secret.uuid ?? "", token: secret.token };
  return {
    kind: "registration-token",
    token: secret.token,
    ...(secret.expiresAt === undefined ? {} : { expiresAt: secret.expiresAt }),
  };
}

function readJson<T>(root: string, path: string): T | undefined {
  const file = inside(root, path);
  if (file === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch {
    return undefined;
  }
}

function stamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
}

function list(directory: string): readonly string[] {
  return statSync(directory, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(directory).sort();
}
