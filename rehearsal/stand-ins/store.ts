/**
 * Stand-in for Nix's store and evaluator: a kind's JSON becomes a derivation, a derivation becomes a directory of
 * `<world>/store`. Paths are named as in /nix/store, which is where hosts hold them.
 */
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import type { World } from "../world.ts";
import { type ConfiguredHardware, diskoScript, readHostFile, systemFiles, systemVersion } from "./system.ts";

/** Fails as nix does: the message is what it prints after `error: `. */
export class NixError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "NixError";
  }
}

/** What a kind can be built as. */
export type Attribute = "toplevel" | "diskoScript";

const kindSchema = z.looseObject({
  name: z.string(),
  revision: z.string(),
  system: z.enum(["x86_64-linux", "aarch64-linux"]),
  provider: z.string(),
  disk: z.object({ layout: z.string(), device: z.string().nullish() }).nullish(),
  tags: z.array(z.string()),
  host: z.string().nullish(),
  vault: z.looseObject({ address: z.string(), mount: z.string(), approleMount: z.string() }),
  runners: z.array(z.looseObject({ name: z.string() })),
});
export type EvaluatedKind = z.infer<typeof kindSchema>;

interface Derivation {
  readonly attribute: Attribute;
  readonly out: string;
  readonly kind: EvaluatedKind;
  readonly hardware?: ConfiguredHardware;
}

export class Store {
  readonly #world: World;
  readonly #directory: string;
  readonly #program: string;
  readonly #kinds = new Map<string, EvaluatedKind>();

  constructor(world: World, program: string) {
    this.#world = world;
    this.#program = program;
    this.#directory = join(world.dir, "store");
    mkdirSync(this.#directory, { recursive: true });
  }

  /** Where this machine holds a path of /nix/store. */
  local(path: string): string {
    return join(this.#directory, basename(path));
  }

  has(path: string): boolean {
    return dirname(path) === "/nix/store" && existsSync(this.local(path));
  }

  get directory(): string {
    return this.#directory;
  }

  /** Evaluates one attribute of a kind to its derivation; a process evaluates a kind once. */
  instantiate(flake: string, kindName: string, attribute: Attribute): string {
    const kind = this.#evaluate(flake, kindName);
    if (attribute === "diskoScript" && !isSet(kind.disk))
      throw new NixError("attribute 'diskoScript' missing");
    const hardware = isSet(kind.host)
      ? readHostFile(readFileSync(join(flake, `hosts/${kind.host}.nix`), "utf8"))
      : undefined;
    const name = attribute === "toplevel" ? `nixos-system-${kind.name}` : "disko";
    const content = JSON.stringify([attribute, kind, hardware, systemVersion()]);
    const derivation: Derivation = {
      attribute,
      kind,
      ...(hardware === undefined ? {} : { hardware }),
      out: `/nix/store/${storeHash(`out ${content}`)}-${name}`,
    };
    const path = `/nix/store/${storeHash(`drv ${content}`)}-${name}.drv`;
    this.#put(path, (file) => writeFileSync(file, JSON.stringify(derivation)));
    return path;
  }

  /** Builds a derivation and returns its output path. */
  realise(drvPath: string): string {
    if (!this.has(drvPath)) throw new NixError(`path '${drvPath}' is not valid`);
    const { attribute, kind, out, hardware } = JSON.parse(
      readFileSync(this.local(drvPath), "utf8"),
    ) as Derivation;
    if (this.#world.fault("nix") === "build-fails")
      throw new NixError(
        `builder for '${drvPath}' failed with exit code 1;\n` +
          "       last 1 log lines:\n       > a fault injected by the rehearsal\n" +
          `       For full logs, run 'nix log ${drvPath}'.`,
      );
    if (!this.has(out)) {
      this.#world.record({ part: this.#program, call: "build", detail: basename(out) });
      this.#put(out, (to) => {
        if (attribute === "toplevel") writeTree(to, systemFiles(out, kind, hardware));
        else writeExecutable(to, diskoScript(kind));
      });
    }
    return out;
  }

  #evaluate(flake: string, kindName: string): EvaluatedKind {
    const known = this.#kinds.get(kindName);
    if (known !== undefined) return known;
    const file = join(flake, "kinds", `${kindName}.json`);
    if (!existsSync(join(flake, "flake.nix")) && !existsSync(file))
      throw new NixError(`'${flake}' does not contain a 'flake.nix', searching up`);
    if (!existsSync(file))
      throw new NixError(
        `flake 'path:${flake}' does not provide attribute 'nixosConfigurations."${kindName}"'`,
      );
    this.#world.record({ part: this.#program, call: "evaluate", detail: kindName });
    const kind = parseKind(kindName, readFileSync(file, "utf8"));
    for (const tag of kind.tags)
      if (!existsSync(join(flake, `profiles/${tag}.nix`)))
        throw new NixError(
          evaluation(kindName, `the tag '${tag}' has no profile: write nix/profiles/${tag}.nix`),
        );
    const files = [
      ...(isSet(kind.disk) ? [`disks/${kind.disk.layout}.nix`] : []),
      ...(isSet(kind.host) ? [`hosts/${kind.host}.nix`] : []),
    ];
    for (const file of files)
      if (!existsSync(join(flake, file)))
        throw new NixError(evaluation(kindName, `path '${join(flake, file)}' does not exist`));
    this.#kinds.set(kindName, kind);
    return kind;
  }

  /** Whole or not at all: other processes build into the same store. */
  #put(path: string, write: (to: string) => void): void {
    if (this.has(path)) return;
    const temporary = `${this.local(path)}.${process.pid}.tmp`;
    write(temporary);
    try {
      renameSync(temporary, this.local(path));
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      if (!this.has(path)) throw error;
    }
  }
}

function parseKind(name: string, text: string): EvaluatedKind {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new NixError(evaluation(name, `[json.exception.parse_error.101] parse error: ${why}`));
  }
  const kind = kindSchema.safeParse(json);
  if (!kind.success) {
    const [issue] = kind.error.issues;
    throw new NixError(
      evaluation(
        name,
        `A definition for option \`flotilla.kind.${issue?.path.join(".")}' is not of the expected type.`,
      ),
    );
  }
  if (kind.data.name !== name)
    throw new NixError(evaluation(name, `kinds/${name}.json names the kind '${kind.data.name}'`));
  return kind.data;
}

function isSet<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}

function evaluation(kind: string, message: string): string {
  return `\n       … while evaluating the attribute 'nixosConfigurations."${kind}".config.system.build'\n\n       error: ${message}`;
}

/** 160 bits in Nix's alphabet. */
function storeHash(content: string): string {
  const digest = createHash("sha256").update(content).digest();
  return [...digest]
    .map((byte) => "0123456789abcdfghijklmnpqrsvwxyz"[byte % 32])
    .join("")
    .slice(0, 32);
}

function writeTree(
  to: string,
  files: Readonly<Record<string, { readonly text: string; readonly executable: boolean }>>,
): void {
  for (const [path, { text, executable }] of Object.entries(files)) {
    const file = join(to, path);
    mkdirSync(dirname(file), { recursive: true });
    if (executable) writeExecutable(file, text);
    else writeFileSync(file, text);
  }
}

function writeExecutable(file: string, text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}
