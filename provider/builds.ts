/** One `nix build` per kind and `up`, whoever needs it first: an install or a convergence. */
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pLimit from "p-limit";
import { z } from "zod";
import type { Kind } from "../fleet/model.ts";
import { lastWords, run } from "./process.ts";

export interface BuiltKind {
  /** Store path of the system. */
  readonly toplevel: string;
  /** Its derivation, so that converging evaluates nothing again. */
  readonly drvPath: string;
  /** Store path of the script that lays out the disk; absent on adopted hosts. */
  readonly diskoScript?: string;
}

const buildOutput = z.array(z.object({ drvPath: z.string(), outputs: z.object({ out: z.string() }) }));
const buildTimeoutSeconds = 4 * 3600;
const features = ["--extra-experimental-features", "nix-command flakes"];
const nixDir = join(import.meta.dirname, "..", "nix");

export class Builds {
  /** A copy of `nix/` with the fleet's kinds beside it: a `path:` flake, so nothing has to be added to git. */
  readonly flakeDir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;
  readonly #limit: <T>(task: () => Promise<T>) => Promise<T>;
  readonly #built = new Map<string, Promise<BuiltKind>>();

  constructor(workDir: string, env: NodeJS.ProcessEnv, parallel: number, signal: AbortSignal) {
    this.flakeDir = join(workDir, "flake");
    this.#env = env;
    this.#signal = signal;
    this.#limit = pLimit(parallel);
  }

  ensure(kind: Kind, progress: (line: string) => void): Promise<BuiltKind> {
    const key = `${kind.name} ${kind.revision}`;
    if (this.#built.size === 0) this.#prepare();
    const built = this.#built.get(key) ?? this.#limit(() => this.#build(kind, progress));
    this.#built.set(key, built);
    return built;
  }

  /** Text of a file in the store, wherever the store is. */
  async readStoreFile(path: string): Promise<string> {
    const result = await run("nix", [...features, "store", "cat", path], {
      env: this.#env,
      signal: this.#signal,
      timeoutSeconds: 60,
    });
    if (result.code !== 0) throw new Error(`${path} cannot be read${lastWords(result.tail)}`);
    return result.stdout;
  }

  #prepare(): void {
    rmSync(this.flakeDir, { recursive: true, force: true });
    cpSync(nixDir, this.flakeDir, { recursive: true });
    mkdirSync(join(this.flakeDir, "kinds"), { recursive: true });
  }

  async #build(kind: Kind, progress: (line: string) => void): Promise<BuiltKind> {
    const file = join(this.flakeDir, "kinds", `${kind.name}.json`);
    // Outside of the flake, which another build may be copying.
    const draft = join(this.flakeDir, "..", `${kind.name}.json`);
    writeFileSync(draft, JSON.stringify(kind, undefined, 2));
    renameSync(draft, file);
    const attributes = ["toplevel", ...(kind.disk === undefined ? [] : ["diskoScript"])];
    const result = await run(
      "nix",
      [
        ...features,
        "build",
        "--no-link",
        "--json",
        ...attributes.map(
          (attribute) =>
            `path:${this.flakeDir}#nixosConfigurations."${kind.name}".config.system.build.${attribute}`,
        ),
      ],
      { env: this.#env, signal: this.#signal, timeoutSeconds: buildTimeoutSeconds, onLine: progress },
    );
    if (result.code !== 0) throw new Error(`kind ${kind.name} does not build${lastWords(result.tail)}`);
    const [system, disko] = buildOutput.parse(JSON.parse(result.stdout));
    if (system === undefined) throw new Error(`nix build of ${kind.name} named no store path`);
    return {
      toplevel: system.outputs.out,
      drvPath: system.drvPath,
      ...(disko === undefined ? {} : { diskoScript: disko.outputs.out }),
    };
  }
}
