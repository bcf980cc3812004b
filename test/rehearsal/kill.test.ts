/**
 * Whatever is killed in the middle, the next run goes on: no server is paid for twice, no disk is laid out more often
 * than once per attempt, and nothing of the earlier run works on.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { openRehearsal, type Rehearsal } from "../../rehearsal/rehearsal.ts";
import { openWorld } from "../../rehearsal/world.ts";
import { scratch, succeeded } from "./fixture.ts";
import { aftermath, nextCall, processes, servers, smallConfig, until, wipes } from "./small.ts";

const hosts = ["builder-1", "builder-2", "builder-3"];
const space = scratch();
afterAll(() => space.remove());

const repo = join(import.meta.dirname, "..", "..");
const worldDir = (name: string) => join(space.dir, name);
const open = (name: string): Promise<Rehearsal> =>
  openRehearsal({ repo, stack: "prod", dir: worldDir(name), config: smallConfig });

/** Where an operation is in the middle of making servers, or of installing them. */
const moments = { creation: /^hetzner POST \/servers/, install: /^host builder-\d disk wiped/ } as const;

async function finishes(rehearsal: Rehearsal, mostWipes: number): Promise<void> {
  const result = succeeded(await rehearsal.run("up", { skipPreview: true }));
  expect((await aftermath(rehearsal, result)).converged).toEqual(hosts);
  expect(servers(rehearsal.world)).toEqual(hosts);
  for (const [host, count] of Object.entries(wipes(rehearsal)))
    expect([count >= 1, count <= mostWipes], `${host} was wiped ${count} times`).toEqual([true, true]);
  expect(succeeded(await rehearsal.run("up", { skipPreview: true })).steps).toEqual([]);
}

const installers = (name: string) => processes("nixos-anywhere.ts", worldDir(name));

describe.for(["creation", "install"] as const)("the engine is killed in the middle of %s", (moment) => {
  const name = `engine-${moment}`;
  let rehearsal: Rehearsal;
  beforeAll(async () => {
    rehearsal = await open(name);
  });
  afterAll(() => rehearsal?.close());

  test("the run fails and says so, and what it started ends", async () => {
    const run = rehearsal.run("up", { skipPreview: true });
    await nextCall(rehearsal.world, moments[moment]);
    process.kill(enginePid(name), "SIGKILL");
    const result = await run;
    expect(result.ok).toBe(false);
    expect(result.errors.join()).toContain("the engine was killed (SIGKILL); run again to go on");
    await until("every nixos-anywhere has ended", 5, () => installers(name).length === 0);
  });

  test("the next up finishes the job", () => finishes(rehearsal, moment === "install" ? 2 : 1));
});

describe.for(["creation", "install"] as const)(
  "the whole rehearsal is killed in the middle of %s",
  (moment) => {
    const name = `rehearsal-${moment}`;

    test("what it started ends", async () => {
      const world = openWorld(worldDir(name));
      const child = start(process.execPath, [
        join(import.meta.dirname, "rehearse.ts"),
        world.dir,
        JSON.stringify(smallConfig),
      ]);
      await nextCall(world, moments[moment]);
      child.kill("SIGKILL");
      await until(
        "everything that works in this world has ended",
        10,
        () => processes(world.dir).length === 0,
      );
    });

    test("the next run finishes the job", async () => {
      const rehearsal = await open(name);
      try {
        await finishes(rehearsal, moment === "install" ? 2 : 1);
      } finally {
        await rehearsal.close();
      }
    });
  },
);

describe("Ctrl-C", () => {
  test("in the middle of an install leaves a world that the next run continues", async () => {
    const clone = space.clone("clone");
    cpSync(join(repo, "rehearsal"), join(clone, "rehearsal"), { recursive: true });
    writeFileSync(join(clone, "Pulumi.small.yaml"), stringify({ config: smallConfig }));
    const world = openWorld(join(clone, ".rehearsal", "small"));
    const cli = () =>
      start(process.execPath, [join(clone, "rehearsal", "cli.ts"), "--stack", "small"], clone);

    const first = cli();
    await nextCall(world, moments.install);
    // As a terminal does: every process of the foreground group gets it.
    process.kill(-(first.pid ?? 0), "SIGINT");
    expect(await ended(first)).toBe(1);
    expect(first.output()).toContain("the world is kept and the next run continues it");
    expect(unfinished(join(world.dir, "state", ".pulumi", "stacks", "flotilla", "small.json"))).toEqual([]);
    expect(processes(world.dir)).toEqual([]);

    const second = cli();
    expect(await ended(second), second.output()).toBe(0);
    expect(servers(world)).toEqual(hosts);
    const counts = Object.values(world.load<Record<string, { readonly wipes: number }>>("hosts", {}));
    expect(Math.max(...counts.map((host) => host.wipes))).toBeLessThanOrEqual(2);
  });
});

/** As the engine's lock names it. */
function enginePid(name: string): number {
  const directory = join(worldDir(name), "state", ".pulumi", "locks", "organization", "flotilla", "prod");
  const [lock = ""] = readdirSync(directory).filter((file) => file.endsWith(".json"));
  return (JSON.parse(readFileSync(join(directory, lock), "utf8")) as { readonly pid: number }).pid;
}

function unfinished(stateFile: string): readonly unknown[] {
  const state = JSON.parse(readFileSync(stateFile, "utf8")) as {
    readonly checkpoint: { readonly latest: { readonly pending_operations?: readonly unknown[] | null } };
  };
  return state.checkpoint.latest.pending_operations ?? [];
}

type Started = ChildProcess & { output(): string };

/** A process with a group of its own. */
function start(program: string, args: readonly string[], cwd = repo): Started {
  const child = spawn(program, args, { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  child.stderr.on("data", (chunk) => {
    text += chunk;
  });
  return Object.assign(child, { output: () => text });
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once("close", resolve));
}
