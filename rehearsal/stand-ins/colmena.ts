/**
 * Stand-in for `colmena`, started by the shim in a world's bin directory: command line, order of work, output without
 * a terminal and exit codes of the real one, quirks included. One process converges any number of nodes.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, matchesGlob, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import pLimit from "p-limit";
import { z } from "zod";
import { openWorld } from "../world.ts";
import { copyTo } from "./copy.ts";
import { NixError, Store } from "./store.ts";

const GOALS = ["build", "push", "switch", "boot", "test", "dry-activate", "upload-keys"] as const;
type Goal = (typeof GOALS)[number];

const nodeSchema = z.looseObject({
  kind: z.string(),
  tags: z.array(z.string()),
  identityFile: z.string(),
  drvPath: z.string().nullable(),
});
type Node = z.infer<typeof nodeSchema>;

/** Flags, with the number of values each takes. */
const FLAGS: Readonly<Record<string, number>> = {
  "--on": 1,
  "--parallel": 1,
  "-p": 1,
  "--config": 1,
  "-f": 1,
  "--eval-node-limit": 1,
  "--evaluator": 1,
  "--color": 1,
  "--nix-option": 2,
  "--keep-result": 0,
  "--verbose": 0,
  "-v": 0,
  "--no-keys": 0,
  "--reboot": 0,
  "--no-substitute": 0,
  "--no-substitutes": 0,
  "--no-gzip": 0,
  "--build-on-target": 0,
  "--no-build-on-target": 0,
  "--force-replace-unknown-profiles": 0,
  "--show-trace": 0,
  "--impure": 0,
};

const [worldDir = "", ...argv] = process.argv.slice(2);
const world = openWorld(worldDir);
const store = new Store(world, "colmena");
console.error("colmena: a stand-in of the rehearsal");

interface Options {
  readonly goal: Goal;
  readonly flake: string;
  readonly on: string | undefined;
  readonly parallel: number;
  readonly evalNodeLimit: number;
  readonly streaming: boolean;
  readonly uploadKeys: boolean;
  readonly reboot: boolean;
}

function parse(args: readonly string[]): Options {
  const flags = new Map<string, string>();
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [flag = "", joined] = args[i]?.startsWith("--") ? (args[i] ?? "").split(/=(.*)/s) : [args[i] ?? ""];
    const values = FLAGS[flag];
    if (values !== undefined) {
      flags.set(flag, joined ?? args[i + 1] ?? "");
      if (joined === undefined) i += values;
    } else if (flag.startsWith("-")) usage(`unexpected argument '${flag}' found`);
    else words.push(flag);
  }
  const [command = "", goalWord] = words;
  const reboot = flags.has("--reboot");
  const commandGoal = command === "build" || command === "upload-keys" ? command : undefined;
  if (commandGoal === undefined && command !== "apply") usage(`unrecognized subcommand '${command}'`);
  const word =
    commandGoal ?? (goalWord === "keys" ? "upload-keys" : (goalWord ?? (reboot ? "boot" : "switch")));
  const goal = GOALS.find((each) => each === word);
  if (goal === undefined) return usage(`invalid value '${word}' for '[GOAL]'`);
  const config = flags.get("--config") ?? flags.get("-f") ?? ".";
  const number = (text: string | undefined, otherwise: number) => {
    const value = Number(text ?? otherwise);
    return Number.isInteger(value) && value >= 0 ? value : usage(`invalid value '${text}' for '<LIMIT>'`);
  };
  return {
    goal,
    flake: resolve(config.replace(/^path:/, "").replace(/\/flake\.nix$/, "")),
    on: flags.get("--on"),
    parallel: number(flags.get("--parallel") ?? flags.get("-p"), 10),
    evalNodeLimit: number(flags.get("--eval-node-limit"), 0),
    streaming: flags.get("--evaluator") === "streaming",
    uploadKeys: !flags.has("--no-keys"),
    reboot,
  };
}

function usage(problem: string): never {
  console.error(
    `error: ${problem}\n\nUsage: colmena [OPTIONS] <COMMAND>\n\nFor more information, try '--help'.`,
  );
  process.exit(2);
}

const log = (level: "INFO" | "WARN" | "ERROR", text: string) => console.error(`[${level.padEnd(5)}] ${text}`);

type JobType = "evaluate" | "build" | "push" | "keys" | "activate" | "reboot";

const RUNNING: Readonly<Record<JobType, (nodes: string) => string>> = {
  evaluate: (nodes) => `Evaluating ${nodes}`,
  build: (nodes) => `Building ${nodes}`,
  push: () => "Pushing system closure",
  keys: () => "Uploading keys",
  activate: () => "Activating system profile",
  reboot: () => "Rebooting",
};
const SUCCEEDED: Readonly<Record<JobType, (nodes: string) => string>> = {
  evaluate: (nodes) => `Evaluated ${nodes}`,
  build: (nodes) => `Built ${nodes}`,
  push: () => "Pushed system closure",
  keys: () => "Uploaded keys",
  activate: () => "Activation successful",
  reboot: () => "Rebooted",
};
const FAILED: Readonly<Record<JobType, string>> = {
  evaluate: "Evaluation failed",
  build: "Build failed",
  push: "Push failed",
  keys: "Key upload failed",
  activate: "Activation failed",
  reboot: "Reboot failed",
};
const SUMMARY: Readonly<Record<JobType, (nodes: string) => string>> = {
  evaluate: (nodes) => `Failed to evaluate ${nodes}`,
  build: (nodes) => `Failed to build ${nodes}`,
  push: (nodes) => `Failed to push system closure to ${nodes}`,
  keys: (nodes) => `Failed to upload keys to ${nodes}`,
  activate: (nodes) => `Failed to deploy to ${nodes}`,
  reboot: (nodes) => `Failed to reboot ${nodes}`,
};

class ColmenaError extends Error {}

/** A step on one node, or on all nodes of an evaluation; it prints as it goes and keeps its events for the summary. */
class Job {
  static labelWidth = 5;
  static readonly failed: Job[] = [];
  readonly events: string[] = [" created)"];
  readonly type: JobType;
  readonly nodes: readonly string[];

  constructor(type: JobType, nodes: readonly string[]) {
    this.type = type;
    this.nodes = nodes;
  }

  get list(): string {
    return describeNodes(this.nodes);
  }

  async run<T>(
    work: () => Promise<T>,
    succeeded: (result: T) => string = () => SUCCEEDED[this.type](this.list),
  ): Promise<T> {
    this.events.push("   state) Running");
    this.#print(RUNNING[this.type](this.list));
    try {
      const result = await work();
      this.#print(succeeded(result));
      return result;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.events.push(` failure) ${message}`);
      this.#print(`${FAILED[this.type]}: ${message}`);
      Job.failed.push(this);
      throw error;
    }
  }

  message(text: string): void {
    this.events.push(` message) ${text}`);
    this.#print(text);
  }

  output(stream: "stdout" | "stderr", text: string): void {
    this.events.push(`  ${stream}) ${text}`);
    this.#print(text);
  }

  #print(text: string): void {
    printLine(this.nodes.length === 1 ? (this.nodes[0] ?? "") : "(...)", text);
  }
}

function printLine(label: string, text: string): void {
  console.error(`${label.padStart(Job.labelWidth)} | ${text}`);
}

function describeNodes(nodes: readonly string[]): string {
  if (nodes.length <= 2) return nodes.join(" and ");
  const shown: string[] = [];
  for (const node of nodes) {
    if (shown.length > 0 && [...shown, node].join(", ").length > 20) break;
    shown.push(node);
  }
  const others = nodes.length - shown.length;
  if (others === 0) return `${nodes.slice(0, -1).join(", ")}, and ${nodes.at(-1)}`;
  return `${shown.join(", ")}, and ${others} other nodes`;
}

class Deployment {
  readonly #options: Options;
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #sshOptions: readonly string[];

  constructor(options: Options, nodes: ReadonlyMap<string, Node>) {
    this.#options = options;
    this.#nodes = nodes;
    this.#limit = pLimit(options.parallel === 0 ? Math.max(nodes.size, 1) : options.parallel);
    const config = process.env.SSH_CONFIG_FILE;
    this.#sshOptions = [
      ...["-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes", "-T"],
      ...(config === undefined ? [] : ["-F", config]),
    ];
  }

  /** Runs all that can run, then throws the first failure. */
  async execute(): Promise<void> {
    const names = [...this.#nodes.keys()];
    if (this.#options.goal === "upload-keys") {
      await everyone(names, (name) => new Job("keys", [name]).run(() => this.#uploadKeys(name, undefined)));
      return;
    }
    const limit = this.#options.streaming ? 1 : this.#options.evalNodeLimit || Math.max(names.length, 1);
    const chunks: string[][] = [];
    for (let i = 0; i < names.length; i += limit) chunks.push(names.slice(i, i + limit));
    await everyone(chunks, (chunk) => this.#chunk(chunk));
  }

  async #chunk(names: readonly string[]): Promise<void> {
    const job = new Job("evaluate", names);
    const derivations = await job.run(async () => this.#evaluate(job, names));
    await everyone([...derivations], async ([name, drvPath]) => {
      const profile = await this.#limit(() => this.#buildAndPush(name, drvPath));
      if (this.#options.goal === "build" || this.#options.goal === "push") return;
      await this.#limit(() => this.#activate(name, profile));
    });
  }

  /** A node whose derivation is known evaluates nothing; the others share one evaluation per kind. One fault fails all. */
  #evaluate(job: Job, names: readonly string[]): ReadonlyMap<string, string> {
    try {
      return new Map(
        names.map((name) => {
          const node = this.#node(name);
          if (node.drvPath !== null) {
            if (!store.has(node.drvPath)) throw new NixError(`path '${node.drvPath}' is not valid`);
            return [name, node.drvPath];
          }
          if (!existsSync(join(this.#options.flake, "kinds", `${node.kind}.json`)))
            throw new NixError(`hosts.json: ${name} is of the kind '${node.kind}', which is not in kinds/`);
          return [name, store.instantiate(this.#options.flake, node.kind, "toplevel")];
        }),
      );
    } catch (error) {
      if (!(error instanceof NixError)) throw error;
      for (const line of `error: ${error.message}`.split("\n")) job.output("stderr", line);
      throw new ColmenaError("Child process exited with error code: 1");
    }
  }

  async #buildAndPush(name: string, drvPath: string): Promise<string> {
    const build = new Job("build", [name]);
    const profile = await build.run(
      async () => {
        try {
          return store.realise(drvPath);
        } catch (error) {
          if (!(error instanceof NixError)) throw error;
          for (const line of `error: ${error.message}`.split("\n")) build.output("stderr", line);
          throw new ColmenaError("Child process exited with error code: 1");
        }
      },
      (path) => `Built "${path}"`,
    );
    if (this.#options.goal === "build") return profile;
    const push = new Job("push", [name]);
    await push.run(async () => {
      const target = { scheme: "ssh-ng", host: `root@${name}` };
      const line = (text: string) => push.output("stderr", text);
      await copyTo(store, target, [profile], this.#sshOptions, line).catch((error) => {
        line(`error: ${error instanceof Error ? error.message : String(error)}`);
        throw new ColmenaError("Child process exited with error code: 1");
      });
    });
    return profile;
  }

  async #activate(name: string, profile: string): Promise<void> {
    const { goal, uploadKeys, reboot } = this.#options;
    if (uploadKeys) {
      const keys = new Job("keys", [name]);
      await keys.run(
        () => this.#uploadKeys(name, keys),
        () => "Uploaded keys (pre-activation)",
      );
    }
    const job = new Job("activate", [name]);
    await job.run(
      async () => {
        if (goal === "switch" || goal === "boot")
          await this.#ssh(name, job, [
            "nix-env",
            "--profile",
            "/nix/var/nix/profiles/system",
            "--set",
            profile,
          ]);
        await this.#ssh(name, job, [`${profile}/bin/switch-to-configuration`, goal]);
      },
      () =>
        ({
          boot: "Will be activated next boot",
          test: "Activation successful (test)",
          "dry-activate": "Dry activation successful",
        })[goal as string] ?? "Activation successful",
    );
    if (reboot) await this.#reboot(name);
    if (uploadKeys) printLine(name, "No post-activation keys to upload");
  }

  async #reboot(name: string): Promise<void> {
    const job = new Job("reboot", [name]);
    await job.run(async () => {
      const bootId = () => this.#ssh(name, undefined, ["cat", "/proc/sys/kernel/random/boot_id"]);
      const before = await bootId();
      await this.#ssh(name, job, ["reboot"]).catch((error) => {
        // The host may close the connection before it answers.
        if (!(error instanceof ColmenaError) || !error.message.endsWith(": 255")) throw error;
      });
      job.message("Waiting for reboot");
      while ((await bootId().catch(() => before)) === before) await new Promise((r) => setTimeout(r, 200));
    });
  }

  async #uploadKeys(name: string, job: Job | undefined): Promise<void> {
    const file = this.#node(name).identityFile;
    job?.message("Uploading pre-activation keys...");
    job?.message("Uploading key identity.json");
    if (!existsSync(file))
      throw new ColmenaError(
        'Error processing key "identity.json": I/O Error: No such file or directory (os error 2)',
      );
    await this.#ssh(name, job, ["sh", "-c", shellQuote(KEY_UPLOADER)], readFileSync(file));
  }

  /** Runs a command on a node and returns what it printed. */
  async #ssh(
    name: string,
    job: Job | undefined,
    command: readonly string[],
    input?: Buffer,
  ): Promise<string> {
    const child = spawn("ssh", [`root@${name}`, ...this.#sshOptions, "--", ...command], {
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    const closed = new Promise<[number | null, NodeJS.Signals | null]>((done) => {
      child.once("error", () => done([127, null]));
      child.once("close", (code, signal) => done([code, signal]));
    });
    const [output] = await Promise.all([
      lines(child.stdout, (line) => job?.output("stdout", line)),
      lines(child.stderr, (line) => job?.output("stderr", line)),
    ]);
    const [code, signal] = await closed;
    if (signal !== null) throw new ColmenaError(`Child process was killed by signal ${signal}`);
    if (code !== 0) throw new ColmenaError(`Child process exited with error code: ${code}`);
    return output;
  }

  #node(name: string): Node {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }
}

/** The shell program by which colmena puts a key in place: whole, or not at all. */
const KEY_UPLOADER = `set -euo pipefail
destination=/etc/flotilla/identity.json
mkdir -p "$(dirname "$destination")"
touch "$destination.tmp"
chown root:root "$destination.tmp"
chmod 0444 "$destination.tmp"
cat > "$destination.tmp"
mv "$destination.tmp" "$destination"`;

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function lines(stream: Readable | null, each: (line: string) => void): Promise<string> {
  if (stream === null) return "";
  let all = "";
  for await (const line of createInterface(stream)) {
    each(line.trimEnd());
    all += `${line}\n`;
  }
  return all;
}

/** Lets all finish, then throws the first failure. */
async function everyone<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const failed = (await Promise.allSettled(items.map(work))).find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function select(nodes: ReadonlyMap<string, Node>, on: string | undefined): ReadonlyMap<string, Node> {
  if (on === undefined) return nodes;
  const rules = on.trim() === "" ? [] : on.split(",").map((rule) => rule.trim());
  if (rules.includes("")) usage(`invalid value '${on}' for '--on <NODES>': Filter rule cannot be empty`);
  const matches = (name: string, { tags }: Node) =>
    rules.some((rule) =>
      rule.startsWith("@") ? tags.some((tag) => matchesGlob(tag, rule.slice(1))) : matchesGlob(name, rule),
    );
  return new Map([...nodes].filter(([name, node]) => matches(name, node)));
}

function readHive(flake: string): ReadonlyMap<string, Node> {
  const file = join(flake, "hosts.json");
  try {
    return new Map(
      Object.entries(z.record(z.string(), nodeSchema).parse(JSON.parse(readFileSync(file, "utf8")))),
    );
  } catch (error) {
    console.error(`error: ${file}: ${error instanceof Error ? error.message : String(error)}`);
    throw new ColmenaError("Child process exited with error code: 1");
  }
}

async function main(): Promise<void> {
  const options = parse(argv);
  world.record({ part: "colmena", call: argv.join(" ").slice(0, 400) });
  log("INFO", `Using flake: path:${options.flake}`);
  if (options.on === undefined && options.goal !== "build") {
    log("ERROR", "No node filter is specified and meta.allowApplyAll is set to false.");
    log("ERROR", "Hint: Filter the nodes with --on.");
    process.exit(1);
  }
  log("INFO", "Enumerating nodes...");
  const all = readHive(options.flake);
  const targets = select(all, options.on);
  if (targets.size === 0) log("WARN", "No hosts selected (0 skipped).");
  else if (targets.size === all.size) log("INFO", `Selected all ${all.size} nodes.`);
  else log("INFO", `Selected ${targets.size} out of ${all.size} hosts.`);
  Job.labelWidth = Math.max(5, ...[...targets.keys()].map((name) => name.length));
  await new Deployment(options, targets).execute();
  // A selector that matches nothing is a success of the real colmena as well.
  printLine("", "All done!");
}

try {
  await main();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  if (Job.failed.length > 0) printLine("", `Failed: ${message}`);
  for (const job of Job.failed) {
    const last = job.events.slice(-20);
    log("ERROR", `${SUMMARY[job.type](job.list)} - Last ${last.length} lines of logs:`);
    for (const event of last) log("ERROR", event);
  }
  log("ERROR", "-----");
  log("ERROR", `Operation failed with error: ${message}`);
  console.error(
    "Hint: Backtrace available - Use `RUST_BACKTRACE=1` environment variable to display a backtrace",
  );
  process.exitCode = 1;
}
