/**
 * Stand-in for `nix`, started by the shim in a world's bin directory: the commands and options that a fleet uses, with
 * the output, the errors and the exit codes of the real one.
 */
import { existsSync, readFileSync } from "node:fs";
import { openWorld } from "../world.ts";
import { copyTo, parseStoreUri } from "./copy.ts";
import { type Attribute, NixError, Store } from "./store.ts";

/** Options of the commands below, with the number of values each takes. */
const OPTIONS: Readonly<Record<string, number>> = {
  "--no-link": 0,
  "--json": 0,
  "--print-build-logs": 0,
  "-L": 0,
  "--print-out-paths": 0,
  "--impure": 0,
  "--no-write-lock-file": 0,
  "--keep-going": 0,
  "--show-trace": 0,
  "--accept-flake-config": 0,
  "--refresh": 0,
  "--offline": 0,
  "--quiet": 0,
  "-v": 0,
  "--verbose": 0,
  "--no-check-sigs": 0,
  "--substitute-on-destination": 0,
  "--builders-use-substitutes": 0,
  "--derivation": 0,
  "--raw": 0,
  "--option": 2,
  "--override-input": 2,
  "--extra-experimental-features": 1,
  "--experimental-features": 1,
  "--max-jobs": 1,
  "-j": 1,
  "--cores": 1,
  "--builders": 1,
  "--out-link": 1,
  "-o": 1,
  "--eval-store": 1,
  "--store": 1,
  "--to": 1,
  "--from": 1,
  "--log-format": 1,
};

const [worldDir = "", ...argv] = process.argv.slice(2);
const world = openWorld(worldDir);
const store = new Store(world, "nix");
console.error("nix: a stand-in of the rehearsal");

try {
  const { options, words } = parse(argv);
  const [command, ...rest] = words;
  if (argv.includes("--version")) console.log("nix (Nix) 2.34.8");
  else if (command === "build") await build(rest, options);
  else if (command === "copy") await copy(rest, options);
  else if (command === "store" && rest[0] === "cat") cat(rest[1] ?? "");
  else if (command === "path-info") pathInfo(rest, options);
  else if (command === "config" && rest[0] === "show") console.log(config(rest[1]));
  else if (command === undefined)
    throw new NixError("no subcommand specified\nTry 'nix --help' for more information.");
  else throw new NixError(`'${command}' is not a recognised command\nTry 'nix --help' for more information.`);
} catch (error) {
  if (!(error instanceof NixError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}

type Options = ReadonlyMap<string, readonly string[]>;

function parse(args: readonly string[]): { readonly options: Options; readonly words: readonly string[] } {
  const options = new Map<string, readonly string[]>();
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    const values = OPTIONS[arg];
    if (values !== undefined) {
      options.set(arg, args.slice(i + 1, i + 1 + values));
      i += values;
    } else if (arg.startsWith("-") && arg !== "--version")
      throw new NixError(`unrecognised flag '${arg}'\nTry 'nix --help' for more information.`);
    else words.push(arg);
  }
  return { options, words };
}

async function build(installables: readonly string[], options: Options): Promise<void> {
  if (installables.length === 0) throw new NixError("no installable was given");
  const derivations = installables.map(installable);
  const built = derivations.map((drvPath) => ({ drvPath, outputs: { out: store.realise(drvPath) } }));
  const [elsewhere] = options.get("--store") ?? [];
  if (elsewhere?.startsWith("ssh"))
    await copyTo(
      store,
      parseStoreUri(elsewhere),
      built.map(({ outputs }) => outputs.out),
      sshOptions(),
      console.error,
    );
  if (options.has("--json")) console.log(JSON.stringify(built));
  else if (options.has("--print-out-paths")) for (const { outputs } of built) console.log(outputs.out);
}

/** `path:<dir>#nixosConfigurations."<kind>".config.system.build.<attribute>` or a derivation of the store. */
function installable(text: string): string {
  const derivation = /^(\/nix\/store\/[^^]+\.drv)(\^.*)?$/.exec(text)?.[1];
  if (derivation !== undefined) return derivation;
  const found =
    /^(?:path:)?([^#]+)#nixosConfigurations\.(?:"([^"]+)"|([\w-]+))\.config\.system\.build\.(\w+)(?:\^.*)?$/.exec(
      text,
    );
  if (found === null) throw new NixError(`this stand-in does not know the installable '${text}'`);
  const [, flake = "", quoted, bare, attribute = ""] = found;
  const kind = quoted ?? bare ?? "";
  if (attribute !== "toplevel" && attribute !== "diskoScript")
    throw new NixError(`attribute '${attribute}' missing`);
  return store.instantiate(flake, kind, attribute satisfies Attribute);
}

async function copy(paths: readonly string[], options: Options): Promise<void> {
  const [to] = options.get("--to") ?? [];
  if (to === undefined) throw new NixError("you must pass '--from' and/or '--to'");
  world.record({ part: "nix", call: "copy", detail: to });
  await copyTo(store, parseStoreUri(to), paths, sshOptions(), console.error);
}

function pathInfo(paths: readonly string[], options: Options): void {
  const missing = paths.find((path) => !store.has(path));
  if (missing !== undefined) throw new NixError(`path '${missing}' is not valid`);
  if (options.has("--json"))
    console.log(JSON.stringify(Object.fromEntries(paths.map((path) => [path, { valid: true }]))));
  else for (const path of paths) console.log(path);
}

/** A file of the store, which need not be the one at /nix/store of this machine. */
function cat(path: string): void {
  const [, , , object = "", ...inside] = path.split("/");
  const file = [store.local(`/nix/store/${object}`), ...inside].join("/");
  if (!path.startsWith("/nix/store/") || !existsSync(file))
    throw new NixError(`path '${path}' does not exist`);
  process.stdout.write(readFileSync(file));
}

function config(name: string | undefined): string {
  if (name === "system") return process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";
  if (name === "extra-platforms") return "";
  throw new NixError(`could not find setting '${name}'`);
}

function sshOptions(): readonly string[] {
  return (process.env.NIX_SSHOPTS ?? "").split(/\s+/).filter(Boolean);
}
