/** The Nix side, as far as it needs no nixpkgs but its lib: `nix-instantiate` on PATH, and `<nixpkgs/lib>` or NIXPKGS_LIB. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const nixDir = join(import.meta.dirname, "..", "..", "nix");
const goldenDir = join(import.meta.dirname, "golden");
const nixpkgsLib = process.env.NIXPKGS_LIB ?? "<nixpkgs/lib>";

function instantiate(...args: readonly string[]): string {
  return execFileSync("nix-instantiate", args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
}

function evaluate(expression: string): unknown {
  return JSON.parse(instantiate("--eval", "--strict", "--json", "--expr", expression));
}

function missing(): string | undefined {
  try {
    evaluate(`(import ${nixpkgsLib}).version`);
    return undefined;
  } catch {
    return "no nix-instantiate, or no nixpkgs lib (set NIXPKGS_LIB to its directory)";
  }
}

const reason = missing();
const flotilla = `import ${nixDir}/lib { lib = import ${nixpkgsLib}; }`;

describe.skipIf(reason !== undefined)(`nix/lib${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test("every file parses", () => {
    const files = readdirSync(nixDir, { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".nix"),
    );
    expect(files).not.toEqual([]);
    expect(() => instantiate("--parse", ...files.map((file) => join(nixDir, file)))).not.toThrow();
  });

  test("its own tests pass: layers, strict kinds, the hive", () => {
    expect(evaluate(`import ${nixDir}/checks/lib.nix { lib = import ${nixpkgsLib}; }`)).toEqual([]);
  });

  test("reads the kinds that the program writes", () => {
    const names = readdirSync(goldenDir).map((file) => file.replace(/\.json$/, ""));
    expect(evaluate(`builtins.attrNames ((${flotilla}).readKinds ${goldenDir})`)).toEqual(names.toSorted());
  });

  test("names the file and the key of a kind that it does not understand", () => {
    const file = `${nixDir}/checks/sample/kinds/unknown-key.json`;
    expect(() => evaluate(`(${flotilla}).readKind ${file}`)).toThrow(/unknown-key\.json[\s\S]*colour/);
  });
});
