/** The real Pulumi engine on a world: preview, up, refresh, destroy, with the repository's own program. */
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { LocalWorkspace, PulumiCommand, type PulumiFn, type Stack } from "@pulumi/pulumi/automation/index.js";
import type { Fleet } from "../fleet/model.ts";
import { hasUnfinished, releaseLock, settleUnfinished } from "./interrupted.ts";
import type { Parts } from "./parts.ts";
import { Recorder, type Step } from "./recorder.ts";
import { type RehearsedConfig, renderProject } from "./stack-config.ts";
import { StackFile } from "./stack-file.ts";
import { finder } from "./unfinished.ts";
import type { World } from "./world.ts";

export type Operation = "preview" | "up" | "refresh" | "destroy";

export interface OperationResult {
  readonly ok: boolean;
  /** Changes alone; what stays the same is left out. */
  readonly steps: readonly Step[];
  /** Errors, without markup. */
  readonly errors: readonly string[];
  /** Errors and warnings, with the resource that they are about. */
  readonly diagnostics: readonly {
    readonly severity: string;
    readonly urn: string;
    readonly message: string;
  }[];
  readonly output: string;
  /** What the program meant, where it got as far as to know it. */
  readonly fleet: Fleet | undefined;
}

export interface EngineOptions {
  readonly world: World;
  readonly parts: Parts;
  readonly repo: string;
  readonly stack: string;
  readonly pulumi: string;
  readonly parallel: number;
}

export interface RunOptions {
  readonly config: RehearsedConfig;
  readonly onOutput?: (text: string) => void;
  /** Each change when it is done, or has failed. */
  readonly onStep?: (step: Step) => void;
  readonly signal?: AbortSignal;
  readonly targets?: readonly string[];
  readonly continueOnError?: boolean;
  readonly skipPreview?: boolean;
}

export class Engine {
  readonly #options: EngineOptions;
  #fleet: Fleet | undefined;
  #stack: Promise<Stack> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** As `pulumi up` and `pulumi destroy` do: one whose preview fails changes nothing. */
  async run(operation: Operation, options: RunOptions): Promise<OperationResult> {
    const rehearsed =
      operation === "up" ? "preview" : operation === "destroy" ? "preview-destroy" : undefined;
    if (rehearsed === undefined || options.skipPreview === true) return this.#run(operation, options);
    const { onStep: _, ...quietly } = options;
    const preview = await this.#run(rehearsed, quietly);
    return preview.ok ? this.#run(operation, options) : { ...preview, steps: [] };
  }

  async #run(operation: Operation | "preview-destroy", options: RunOptions): Promise<OperationResult> {
    await releaseLock(this.#stateDir, this.#options.stack);
    const stack = await this.#open(options.config);
    if (operation !== "preview") await this.#settle(stack);
    this.#fleet = undefined;
    const recorder = new Recorder(options.onStep ?? (() => undefined));
    let output = "";
    const onOutput = (text: string) => {
      output += text;
      options.onOutput?.(text);
    };
    const common = {
      onEvent: recorder.take,
      onOutput,
      onError: onOutput,
      color: options.onOutput === undefined ? ("never" as const) : ("always" as const),
      suppressOutputs: true,
      parallel: this.#options.parallel,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.targets === undefined ? {} : { target: [...options.targets] }),
    };
    const continueOnError = options.continueOnError ?? true;
    let failure: string | undefined;
    // The program runs in this process, and finds the world's tools where the engine does.
    const path = process.env.PATH ?? "";
    process.env.PATH = this.env.PATH;
    try {
      options.signal?.throwIfAborted();
      if (operation === "preview") await stack.preview({ ...common, diff: false });
      else if (operation === "preview-destroy") await stack.previewDestroy(common);
      else if (operation === "up") await stack.up({ ...common, continueOnError });
      else if (operation === "refresh") await stack.refresh(common);
      else await stack.destroy({ ...common, continueOnError });
    } catch (error) {
      failure = lastError(error);
    } finally {
      process.env.PATH = path;
    }
    const { steps, diagnostics } = recorder;
    const errors = diagnostics.filter(({ severity }) => severity === "error").map(({ message }) => message);
    return {
      ok: failure === undefined,
      steps,
      errors: failure === undefined || errors.length > 0 ? errors : [failure],
      diagnostics,
      output,
      fleet: this.#fleet,
    };
  }

  /** Pulumi's state; its secrets are ciphertext unless they are asked for, to look at and never to write. */
  async exportState(options: { readonly showSecrets?: boolean } = {}): Promise<unknown> {
    const flags = options.showSecrets === true ? ["--show-secrets"] : [];
    return JSON.parse(await this.#pulumi("stack", "export", ...flags)).deployment;
  }

  async outputs(): Promise<Readonly<Record<string, { readonly value: unknown; readonly secret: boolean }>>> {
    return (await this.#stackOf()).outputs();
  }

  get #stateDir(): string {
    return join(this.#options.world.dir, "state");
  }

  get env(): Record<string, string> {
    const { world, parts } = this.#options;
    return {
      PATH: worldPath(world, parts.official),
      PULUMI_BACKEND_URL: `file://${this.#stateDir}`,
      PULUMI_HOME: join(world.dir, "pulumi-home"),
      PULUMI_CONFIG_PASSPHRASE: world.secret("passphrase"),
      PULUMI_DEBUG_PROVIDERS: parts.attached,
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      HCLOUD_ENDPOINT: parts.clouds.hetzner,
      DIGITALOCEAN_API_URL: parts.clouds.digitalocean,
    };
  }

  /** Settles what an operation left that was killed. A preview changes nothing, so it leaves it as it is. */
  async #settle(stack: Stack): Promise<void> {
    const { world, parts, stack: name } = this.#options;
    if (!hasUnfinished(this.#stateDir, name)) return;
    const { deployment, urns } = await settleUnfinished(await this.exportState(), finder(parts));
    world.save("settled", { version: 3, deployment });
    const file = join(world.dir, "settled.json");
    await this.#pulumi("stack", "import", "--file", file);
    rmSync(file);
    if (urns.length > 0) await stack.refresh({ target: [...urns], color: "never" });
  }

  /** Unlike the Automation API's export this shows no secret. */
  async #pulumi(...args: readonly string[]): Promise<string> {
    await this.#stackOf();
    const { world, stack } = this.#options;
    const { stdout } = await promisify(execFile)(
      join(world.dir, "pulumi", "bin", "pulumi"),
      [...args, "--stack", stack, "--non-interactive"],
      { cwd: join(world.dir, "project"), env: { ...process.env, ...this.env }, maxBuffer: 2 ** 30 },
    );
    return stdout;
  }

  /** The stack with this configuration in its file. */
  async #open(config: RehearsedConfig): Promise<Stack> {
    const { world, stack: name } = this.#options;
    const file = new StackFile(world, name);
    if (file.write(config)) return this.#stackOf();
    const stack = await this.#stackOf();
    await stack.setAllConfig(config.secrets, true);
    file.keepSealed(config);
    return stack;
  }

  #stackOf(): Promise<Stack> {
    this.#stack ??= this.#create();
    return this.#stack;
  }

  async #create(): Promise<Stack> {
    const { world, repo, stack, pulumi } = this.#options;
    const index = (await import(join(repo, "index.ts"))) as { default: PulumiFn };
    const edge = (await import(join(repo, "fleet", "config.ts"))) as {
      readFleet(): { readonly fleet: Fleet };
    };
    const program = () => {
      this.#fleet = edge.readFleet().fleet;
      return index.default();
    };
    for (const directory of ["state", "pulumi-home"])
      mkdirSync(join(world.dir, directory), { recursive: true });
    const workDir = join(world.dir, "project");
    writeFileSync(join(workDir, "Pulumi.yaml"), renderProject(repo));
    return LocalWorkspace.createOrSelectStack(
      { stackName: stack, projectName: "flotilla", program },
      { workDir, envVars: this.env, pulumiCommand: await this.#command(pulumi) },
    );
  }

  async #command(pulumi: string): Promise<PulumiCommand> {
    const root = join(this.#options.world.dir, "pulumi");
    mkdirSync(join(root, "bin"), { recursive: true });
    const program = join(root, "bin", "pulumi");
    rmSync(program, { force: true });
    writeFileSync(program, tethered(pulumi));
    chmodSync(program, 0o755);
    return PulumiCommand.get({ root, skipVersionCheck: true });
  }
}

/**
 * The engine in a session of its own, so that Ctrl-C at a terminal cancels it once, by way of the rehearsal: a second one
 * would end it at once. It is killed when the rehearsal dies: with the clouds gone it would take what they were making
 * for failed, and forget it.
 */
function tethered(pulumi: string): string {
  return `#!/bin/sh\nexec setsid setpriv --pdeathsig KILL '${pulumi.replaceAll("'", "'\\''")}' "$@"\n`;
}

/** Of the engine's own words the last error; all of its output is in the result as well. */
function lastError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const killed = /Command was killed with (\w+)/.exec(message);
  if (killed !== null) return `the engine was killed (${killed[1]}); run again to go on`;
  const [, last] =
    message
      .split("\n stderr: ")
      .at(-1)
      ?.match(/^(error: [\s\S]*?)(?=\n err\?: |$)/m) ?? [];
  return (last ?? message).trim();
}

/** The world's tools first; asked for again it stays the same. */
function worldPath(world: World, plugins: readonly string[]): string {
  const first = [join(world.dir, "bin"), ...plugins];
  const others = (process.env.PATH ?? "").split(delimiter).filter((each) => !first.includes(each));
  return [...first, ...others].join(delimiter);
}
