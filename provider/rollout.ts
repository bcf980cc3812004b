/** Gathers the hosts that converge at the same time into one colmena process. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Identity, Kind } from "../fleet/model.ts";
import type { Builds, BuiltKind } from "./builds.ts";
import { lastWords, run } from "./process.ts";
import type { Ssh } from "./ssh.ts";

export interface RolloutRequest {
  readonly host: string;
  readonly kind: Kind;
  readonly identity: Identity;
  readonly progress: (line: string) => void;
}

interface Waiting extends RolloutRequest {
  readonly resolve: (built: BuiltKind) => void;
  readonly reject: (error: Error) => void;
}

interface Built extends Waiting {
  readonly built: BuiltKind;
}

/** A batch starts when nothing has joined it for this long. The engine sends the updates of a wave within a few ms. */
const gatherMs = 300;
/** How colmena ends the job of a host that failed (its src/job.rs). */
const hostFailure = /^(Evaluation|Build|Push|Key upload|Activation|Reboot) failed: /;
const hostSuccess = /^Activation successful/;
const colmenaTimeoutSeconds = 2 * 3600;

export class Rollout {
  readonly #builds: Builds;
  readonly #ssh: Ssh;
  readonly #parallel: number;
  readonly #signal: AbortSignal;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(builds: Builds, ssh: Ssh, parallel: number, signal: AbortSignal) {
    this.#builds = builds;
    this.#ssh = ssh;
    this.#parallel = parallel;
    this.#signal = signal;
  }

  /** Resolves when colmena has switched the host; rejects for this host alone. What it runs then is the caller's to ask. */
  converge(request: RolloutRequest): Promise<BuiltKind> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...request, resolve, reject });
      void this.#drainQueue();
    });
  }

  async #drainQueue(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0) {
      let size = 0;
      while (size < this.#waiting.length) {
        size = this.#waiting.length;
        await sleep(gatherMs);
      }
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#runBatch(batch);
    }
    this.#running = false;
  }

  async #runBatch(batch: readonly Waiting[]): Promise<void> {
    const outcomes = await Promise.all(
      batch.map(async (request): Promise<Built | undefined> => {
        try {
          return { ...request, built: await this.#builds.ensure(request.kind, request.progress) };
        } catch (error) {
          request.reject(asError(error));
          return undefined;
        }
      }),
    );
    const ready = outcomes.filter((request) => request !== undefined);
    if (ready.length === 0) return;
    try {
      const failures = await this.#colmena(ready);
      for (const request of ready) {
        const failure = failures.get(request.host);
        if (failure === undefined) request.resolve(request.built);
        else request.reject(new Error(`colmena could not converge ${request.host}${lastWords(failure)}`));
      }
    } catch (error) {
      for (const request of ready) request.reject(asError(error));
    }
  }

  /** The last lines of each host that failed. */
  async #colmena(batch: readonly Built[]): Promise<ReadonlyMap<string, readonly string[]>> {
    this.#writeHive(batch);
    const byHost = new Map(batch.map((request) => [request.host, request]));
    const lines = new Map<string, string[]>(batch.map(({ host }) => [host, []]));
    const failed = new Set<string>();
    const switched = new Set<string>();
    const result = await run(
      "colmena",
      [
        "apply",
        "switch",
        "--on",
        [...byHost.keys()].join(","),
        "--parallel",
        String(this.#parallel),
        "--config",
        `path:${this.#builds.flakeDir}`,
      ],
      {
        env: this.#ssh.env,
        signal: this.#signal,
        timeoutSeconds: colmenaTimeoutSeconds,
        onLine: (line) => {
          const [, host = "", text = ""] = /^\s*(\S+) \| (.*)$/.exec(line) ?? [];
          byHost.get(host)?.progress(text);
          lines.get(host)?.push(text);
          if (hostFailure.test(text)) failed.add(host);
          if (hostSuccess.test(text)) switched.add(host);
        },
      },
    ).catch(asError);
    // Ended before its time, by us or by the limit: what was switched until then stays switched.
    if (result instanceof Error) {
      if (switched.size === 0) throw result;
      const rest = [...byHost.keys()].filter((host) => !switched.has(host));
      return new Map(rest.map((host) => [host, [result.message]]));
    }
    // A failure that belongs to no host (an evaluation, a selector) has touched none of them.
    if (result.code !== 0 && failed.size === 0)
      throw new Error(
        `colmena failed before it reached a host (exit ${result.code})${lastWords(result.tail)}`,
      );
    return new Map([...failed].map((host) => [host, (lines.get(host) ?? []).slice(-10)]));
  }

  #writeHive(batch: readonly Built[]): void {
    const identities = join(this.#builds.flakeDir, "..", "identities");
    mkdirSync(identities, { recursive: true });
    const nodes = batch.map(({ host, kind, identity, built }) => {
      const identityFile = join(identities, `${host}.json`);
      writeFileSync(identityFile, JSON.stringify(identity));
      return [host, { kind: kind.name, tags: kind.tags, identityFile, drvPath: built.drvPath }];
    });
    const file = join(this.#builds.flakeDir, "hosts.json");
    const draft = join(this.#builds.flakeDir, "..", "hosts.json");
    writeFileSync(draft, JSON.stringify(Object.fromEntries(nodes), undefined, 2));
    renameSync(draft, file);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
