import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { lastWords, run } from "../../../provider/process.ts";
import { alive, refusal, useDirectory } from "./fixture.ts";

const dir = useDirectory();
const sh = (script: string, options: Partial<Parameters<typeof run>[2]> = {}) =>
  run("sh", ["-c", script], { timeoutSeconds: 10, ...options });

describe("a program that ends", () => {
  test("gives its exit code, its output, and the last lines of all that it said", async () => {
    const lines: string[] = [];
    const result = await sh("cat; echo why >&2; exit 7", {
      input: "a\nb\n",
      onLine: (line) => lines.push(line),
    });
    expect(result).toMatchObject({ code: 7, stdout: "a\nb" });
    expect(lines.toSorted()).toEqual(["a", "b", "why"]);
    expect(result.tail.toSorted()).toEqual(["a", "b", "why"]);
  });

  test("is remembered by its last 15 lines, however much it said", async () => {
    const { stdout, tail } = await sh("seq 1000");
    expect(stdout.split("\n")).toHaveLength(1000);
    expect(tail).toEqual(Array.from({ length: 15 }, (_, n) => `${986 + n}`));
  });

  test("may leave its input unread", async () => {
    expect((await sh("exit 0", { input: "x".repeat(1_000_000) })).code).toBe(0);
  });

  test("by a signal of its own is a failure, not a cancellation", async () => {
    expect((await sh("kill -KILL $$")).code).toBe(128);
  });

  test("gets no shell between its arguments and itself", async () => {
    expect((await run("printf", ["%s", "$HOME; `id`"], { timeoutSeconds: 10 })).stdout).toBe("$HOME; `id`");
  });
});

test("a program that is missing is named, with where to get it", async () => {
  expect(await refusal(run("no-such-program", [], { timeoutSeconds: 10 }))).toBe(
    "no-such-program is not on PATH; `nix develop ./nix` provides it",
  );
});

describe("out of time", () => {
  test("it is ended, and its last words are told", async () => {
    const start = Date.now();
    expect(await refusal(sh("echo connecting; exec sleep 60", { timeoutSeconds: 0.3 }))).toBe(
      "sh: no end after 0.3 s:\n    connecting",
    );
    expect(Date.now() - start).toBeLessThan(3000);
  });

  test("one that ignores being asked is killed", async () => {
    const message = await refusal(sh("trap '' TERM; while :; do sleep 1; done", { timeoutSeconds: 0.2 }));
    expect(message).toContain("no end after 0.2 s");
  });
});

test("what a program leaves behind does not hold us past the time, though it holds the output", async () => {
  const pids: number[] = [];
  const left = sh("sleep 60 & echo $!", { timeoutSeconds: 0.3, onLine: (line) => pids.push(Number(line)) });
  expect(await refusal(left)).toContain("no end after 0.3 s");
  await expect.poll(() => pids.filter(alive)).toEqual([]);
});

describe("cancelled", () => {
  test("it ends with everything that it started", async () => {
    const abort = new AbortController();
    const pids: number[] = [];
    const running = sh("sleep 60 & echo $!; sleep 60 & echo $!; echo $$; wait", {
      signal: abort.signal,
      onLine: (line) => pids.push(Number(line)),
    });
    const ended = refusal(running);
    await expect.poll(() => pids.length).toBe(3);
    abort.abort();
    expect(await ended).toBe("sh: cancelled");
    await expect.poll(() => pids.filter(alive)).toEqual([]);
  });

  test("before it began, it does not begin", async () => {
    const message = await refusal(sh(`echo x > ${dir.file("began")}`, { signal: AbortSignal.abort() }));
    expect(message).toBe("sh: cancelled");
    await sleep(100);
    expect(dir.lines("began")).toEqual([]);
  });
});

test("last words are indented below what they belong to", () => {
  expect(`it failed${lastWords(["one", "two"])}`).toBe("it failed:\n    one\n    two");
  expect(`it failed${lastWords([])}`).toBe("it failed");
});
