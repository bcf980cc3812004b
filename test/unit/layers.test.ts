/** What may know of what. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(folder, path));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map(([, path]) => path ?? "");
}

describe("layers", () => {
  test.each(["fleet", "components", "provider"])(
    "%s knows nothing of the rehearsal and of tests",
    (folder) => {
      const files = [...sources(folder), "index.ts"];
      expect(files.length).toBeGreaterThan(3);
      const forbidden = files.flatMap((file) =>
        importsOf(file)
          .filter((path) => /(^|\/)(rehearsal|test)\//.test(path))
          .map((path) => `${file} imports ${path}`),
      );
      expect(forbidden).toEqual([]);
    },
  );

  test("fleet is pure: it makes no resource and starts nothing", () => {
    const forbidden = sources("fleet").flatMap((file) =>
      importsOf(file)
        .filter((path) => /components|provider|node:child_process|node:net|node:http/.test(path))
        .map((path) => `${file} imports ${path}`),
    );
    expect(forbidden).toEqual([]);
  });
});
