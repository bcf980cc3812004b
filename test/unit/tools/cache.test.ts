import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cacheDir, cached, findCached } from "../../../rehearsal/tools/cache.ts";

/** Larger than any process id. */
const deadPid = 2 ** 22 + 1;

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "flotilla-cache-"));
});
afterEach(() => rmSync(cache, { recursive: true }));

async function makeTool(directory: string): Promise<void> {
  writeFileSync(join(directory, "tool"), "#!/bin/sh\n");
  chmodSync(join(directory, "tool"), 0o755);
}

describe("the tool cache", () => {
  test("lies where the user keeps caches", () => {
    expect(cacheDir({ XDG_CACHE_HOME: "/caches" })).toBe("/caches/flotilla");
    expect(cacheDir({})).toMatch(/\/\.cache\/flotilla$/);
  });

  test("keeps a tool under its name and version", async () => {
    const executable = await cached(cache, "tool", "1.0.0", makeTool);
    expect(executable).toBe(join(cache, "tool-1.0.0", "tool"));
    expect(findCached(cache, "tool", "1.0.0")).toBe(executable);
    expect(findCached(cache, "tool", "1.0.1")).toBeUndefined();
  });

  test("makes a tool once for all who ask at the same time", async () => {
    let made = 0;
    const make = async (directory: string) => {
      made += 1;
      await sleep(300);
      await makeTool(directory);
    };
    await Promise.all([cached(cache, "tool", "1.0.0", make), cached(cache, "tool", "1.0.0", make)]);
    expect(made).toBe(1);
    expect(readdirSync(cache)).toEqual(["tool-1.0.0"]);
  });

  test("holds nothing of a tool whose making failed", async () => {
    const fail = async (directory: string) => {
      writeFileSync(join(directory, "half"), "");
      throw new Error("no space left");
    };
    await expect(cached(cache, "tool", "1.0.0", fail)).rejects.toThrow("no space left");
    expect(readdirSync(cache)).toEqual([]);
  });

  test("refuses a tool without its executable", async () => {
    await expect(cached(cache, "tool", "1.0.0", async () => {})).rejects.toThrow("without its executable");
    expect(readdirSync(cache)).toEqual([]);
  });

  test("takes over from a process that was killed, and removes what it left", async () => {
    writeFileSync(join(cache, "tool-1.0.0.lock"), `${deadPid}`);
    mkdirSync(join(cache, `tool-1.0.0.making-${deadPid}`));
    await cached(cache, "tool", "1.0.0", makeTool);
    expect(readdirSync(cache)).toEqual(["tool-1.0.0"]);
  });

  test("names its holder in the lock while the tool is made", async () => {
    await cached(cache, "tool", "1.0.0", async (directory) => {
      expect(readFileSync(join(cache, "tool-1.0.0.lock"), "utf8")).toBe(`${process.pid}`);
      await makeTool(directory);
    });
    expect(existsSync(join(cache, "tool-1.0.0.lock"))).toBe(false);
  });
});
