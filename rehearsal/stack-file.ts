/**
 * The stack's file in a world. Its secrets pass through the engine once, so that they are ciphertext there as they are
 * in an operator's; later runs keep the ciphertext while the secrets are the same.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { asTree, type RehearsedConfig, type Tree } from "./stack-config.ts";
import type { World } from "./world.ts";

export class StackFile {
  readonly #world: World;
  readonly #path: string;
  readonly #key: string;

  constructor(world: World, stack: string) {
    const directory = join(world.dir, "project");
    mkdirSync(directory, { recursive: true });
    this.#world = world;
    this.#path = join(directory, `Pulumi.${stack}.yaml`);
    this.#key = `sealed-${stack}`;
  }

  /** @returns whether the secrets are in the file; if not they are to be set, then kept. */
  write(config: RehearsedConfig): boolean {
    const kept = this.#world.load<{ hash: string; config: Tree }>(this.#key, { hash: "", config: {} });
    const known = kept.hash === hashOf(config);
    const content = known ? merge(config.plain, kept.config) : config.plain;
    writeFileSync(this.#path, stringify({ ...this.#read(), config: content }), { mode: 0o600 });
    return known;
  }

  keepSealed(config: RehearsedConfig): void {
    this.#world.save(this.#key, { hash: hashOf(config), config: sealedOf(asTree(this.#read().config)) });
  }

  /** What the engine keeps in the file beside the configuration: the salt of the encryption. */
  #read(): Tree {
    return existsSync(this.#path) ? asTree(parse(readFileSync(this.#path, "utf8"))) : {};
  }
}

function hashOf(config: RehearsedConfig): string {
  return createHash("sha256").update(JSON.stringify(config.secrets)).digest("hex");
}

/** The ciphertexts of a tree and the way to them. */
function sealedOf(tree: Tree): Tree {
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, value]): [string, unknown][] => {
      const inner = asTree(value);
      if ("secure" in inner) return [[key, inner]];
      const sealed = sealedOf(inner);
      return Object.keys(sealed).length === 0 ? [] : [[key, sealed]];
    }),
  );
}

function merge(base: Tree, over: Tree): Tree {
  return Object.fromEntries(
    [...new Set([...Object.keys(base), ...Object.keys(over)])].map((key) => {
      const [left, right] = [base[key], over[key]];
      if (right === undefined) return [key, left];
      return [key, "secure" in asTree(right) ? right : merge(asTree(left), asTree(right))];
    }),
  );
}
