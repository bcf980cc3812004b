import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Builds } from "../../../provider/builds.ts";
import { Rollout } from "../../../provider/rollout.ts";
import { Ssh } from "../../../provider/ssh.ts";
import { identity, kind } from "../stand-ins/flake.ts";
import { refusal, useDirectory } from "./fixture.ts";

const dir = useDirectory();
const runners = kind("runners");

let ssh: Ssh;
let builds: Builds;
let rollout: Rollout;
let abort: AbortController;
let told: string[];
beforeEach(() => {
  told = [];
  abort = new AbortController();
  dir.program(
    "nix",
    `case "$*" in *broken*) echo "error: broken" >&2; exit 1;; esac
echo '[{"drvPath":"/nix/store/s.drv","outputs":{"out":"/nix/store/s"}},{"drvPath":"/nix/store/d.drv","outputs":{"out":"/nix/store/d"}}]'`,
  );
  // As the real one reports on a pipe: one line at a time, the host's name to the right.
  dir.program("colmena", 'echo "$*" >> calls; . ./behaviour');
  behave(":");
  ssh = new Ssh(undefined);
  builds = new Builds(dir.file("work"), ssh.env, 4, abort.signal);
  rollout = new Rollout(builds, ssh, 7, abort.signal);
});
afterEach(() => ssh.close());

function behave(script: string): void {
  dir.program("../behaviour", script);
}
const converge = (host: string, of = runners) =>
  rollout.converge({
    host,
    kind: of,
    identity: identity(host, "ssh-ed25519 AAAA"),
    progress: (line) => told.push(`${host}: ${line}`),
  });
const calls = () => dir.lines("calls");
/** The hosts of each colmena process. */
const batches = () => calls().map((call) => /--on (\S+)/.exec(call)?.[1]?.split(","));

describe("the hosts of a wave", () => {
  test("are one process, which is given what was built and who each host is", async () => {
    const hosts = Array.from({ length: 30 }, (_, n) => `builder-${n + 1}`);
    const built = await Promise.all(hosts.map((host) => converge(host)));
    expect(built.every(({ toplevel }) => toplevel === "/nix/store/s")).toBe(true);
    expect(calls()).toEqual([
      `apply switch --on ${hosts.join(",")} --parallel 7 --config path:${builds.flakeDir}`,
    ]);
    const hive = JSON.parse(readFileSync(join(builds.flakeDir, "hosts.json"), "utf8"));
    expect(Object.keys(hive)).toEqual(hosts);
    const { identityFile, ...node } = hive["builder-3"];
    expect(node).toEqual({ kind: "runners", tags: ["runners"], drvPath: "/nix/store/s.drv" });
    expect(JSON.parse(readFileSync(identityFile, "utf8"))).toEqual(identity("builder-3", "ssh-ed25519 AAAA"));
  });

  test("need not come at the same moment", async () => {
    await Promise.all(
      ["a", "b", "c"].map(async (host, n) => {
        await sleep(n * 200);
        await converge(host);
      }),
    );
    expect(batches()).toEqual([["a", "b", "c"]]);
  });

  test("hear of their own progress", async () => {
    behave('echo "[INFO ] Using flake"; echo "  a | Evaluated"; echo " bb | Pushing | 3 paths" >&2');
    await Promise.all([converge("a"), converge("bb")]);
    expect(told).toContain("a: Evaluated");
    expect(told).toContain("bb: Pushing | 3 paths");
    expect(told.join()).not.toContain("Using flake");
  });

  test("are reached through our ssh and its config", async () => {
    behave('command -v ssh > ssh; echo "$SSH_CONFIG_FILE" >> ssh');
    await converge("a");
    const config = ssh.env.SSH_CONFIG_FILE ?? "";
    expect(dir.lines("ssh")).toEqual([join(config, "..", "bin", "ssh"), config]);
  });
});

test("hosts that come while a batch runs are the next one, together", async () => {
  behave("echo begin >> order; sleep 1; echo end >> order");
  const first = converge("a");
  await expect.poll(calls, { timeout: 5000 }).toHaveLength(1);
  const later = ["b", "c"].map(async (host, n) => {
    await sleep(n * 400);
    await converge(host);
  });
  await Promise.all([first, ...later]);
  expect(batches()).toEqual([["a"], ["b", "c"]]);
  expect(dir.lines("order")).toEqual(["begin", "end", "begin", "end"]);
});

test("a host that came after all batches were done is served, too", async () => {
  await converge("a");
  await converge("b");
  expect(batches()).toEqual([["a"], ["b"]]);
});

describe("failure", () => {
  test.each([
    "Evaluation failed: Child process exited with error code: 1",
    "Build failed: Child process exited with error code: 1",
    "Push failed: Child process exited with error code: 255",
    "Key upload failed: Child process exited with error code: 1",
    "Activation failed: Child process exited with error code: 4",
    "Reboot failed: Timed out",
  ])("of one host is its own, with its last words: %s", async (words) => {
    behave(
      `echo "  a | Activating"; echo " bb | unit x failed"; echo " bb | ${words}"; echo "  a | Activated"; exit 1`,
    );
    const [a, bb] = await Promise.allSettled([converge("a"), converge("bb")]);
    expect(a.status).toBe("fulfilled");
    expect(bb).toMatchObject({
      status: "rejected",
      reason: { message: `colmena could not converge bb:\n    unit x failed\n    ${words}` },
    });
  });

  test("before a host was reached is that of all, and says so", async () => {
    behave('echo "[ERROR] attribute colmenaHive missing" >&2; exit 1');
    const message =
      "colmena failed before it reached a host (exit 1):\n    [ERROR] attribute colmenaHive missing";
    expect(await Promise.all([refusal(converge("a")), refusal(converge("b"))])).toEqual([message, message]);
  });

  test("to build is that of the kind's hosts; the others converge without them", async () => {
    const [a, b] = await Promise.allSettled([converge("a"), converge("b", kind("broken"))]);
    expect(a.status).toBe("fulfilled");
    expect(b).toMatchObject({
      status: "rejected",
      reason: { message: "kind broken does not build:\n    error: broken" },
    });
    expect(batches()).toEqual([["a"]]);
  });

  test("to build anything starts no colmena", async () => {
    await refusal(converge("b", kind("broken")));
    expect(calls()).toEqual([]);
  });

  test("of one batch does not hold up the next", async () => {
    behave("exit 1");
    await refusal(converge("a"));
    behave(":");
    await converge("a");
  });
});

test("a batch that is ended before its time keeps the hosts that were switched until then", async () => {
  behave('echo "builder-1 | Activation successful" >&2; sleep 30');
  const outcomes = Promise.allSettled(["builder-1", "builder-2"].map((host) => converge(host)));
  await expect.poll(() => told, { timeout: 5000 }).toContain("builder-1: Activation successful");
  abort.abort();
  const [first, second] = await outcomes;
  expect(first?.status).toBe("fulfilled");
  expect(second).toMatchObject({
    status: "rejected",
    reason: { message: expect.stringContaining("cancelled") },
  });
});

test("cancelled, what runs ends, and what waits does not begin", async () => {
  behave("sleep 60");
  const running = refusal(converge("a"));
  await expect.poll(calls, { timeout: 5000 }).toHaveLength(1);
  const waiting = refusal(converge("b"));
  abort.abort();
  expect(await running).toBe("colmena: cancelled");
  expect(await waiting).toBe("colmena: cancelled");
  expect(batches()).toEqual([["a"]]);
});
