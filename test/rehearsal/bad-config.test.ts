/** Every fault of a configuration at once, through the engine: a line each, no stack trace, and nothing happened. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OperationResult } from "../../rehearsal/engine.ts";
import { realErrors } from "../../rehearsal/failures.ts";
import type { RecordedCall, Rehearsal } from "../../rehearsal/rehearsal.ts";
import { scratch } from "./fixture.ts";
import { servers, smallConfig } from "./small.ts";
import { resourcesOf } from "./state.ts";

const hetzner = { provider: "hetzner", type: "cpx22", location: "nbg1", tags: ["runners"] };
const repo = { repo: "owner/name" };

/** Path and the beginning of the message, by the fault in the configuration. */
const faults: Readonly<Record<string, readonly [path: string, message: RegExp]>> = {
  "an unknown key": ["hosts.web.colour", /unknown key/],
  "a wrong type": ["hosts.text.count", /"three" is not a (whole )?number/],
  "a negative count": ["hosts.less.count", /-1 is too small; at least 0/],
  "an unknown tag on a host": ["hosts.builder.tags.1", /"fast" has no profile; add nix\/profiles\/fast.nix/],
  "a tag of no host on a runner": ["runners.lost.on.0", /no host has the tag "nowhere"/],
  "an unknown forge": ["runners.foreign.forge", /"gitlab" is no forge of this fleet/],
  "a missing credential": ["credentials.code", /missing; run `pulumi config set --path --secret/],
  "a host that two groups make": ["hosts.builder-1", /host "builder-1" is also made by hosts.builder/],
  "microvm on a Hetzner Cloud type": ["runners.virtual.isolation", /microvm needs \/dev\/kvm/],
  "a relative disk path": ["hosts.metal.disk", /"sda" is not an absolute path/],
  "a label with a comma": ["runners.listed.labels.0", /"a,b" has a comma/],
  "an unknown scope": ["runners.wide.scope.planet", /unknown key/],
  "a scope that the forge does not have": ["runners.own.scope.user", /github has no such scope/],
  "two runners with one name on a host": ["runners.twin-1", /is also made by runners.twin/],
  "an ephemeral GitHub runner without a minter": ["runners.brief", /needs a fresh token for each job/],
};

const config = {
  ...smallConfig,
  "flotilla:hosts": {
    builder: { ...hetzner, count: 2, tags: ["runners", "fast"] },
    "builder-1": hetzner,
    web: { ...hetzner, colour: "green" },
    text: { ...hetzner, count: "three" },
    less: { ...hetzner, count: -1 },
    metal: {
      provider: "existing",
      address: "198.51.100.7",
      hostKey: "replaced by the world",
      disk: "sda",
      installId: "1",
      tags: ["runners"],
    },
  },
  "flotilla:runners": {
    lost: { forge: "github", scope: repo, on: ["nowhere"] },
    foreign: { forge: "gitlab", scope: repo, on: ["runners"] },
    virtual: { forge: "github", scope: repo, on: ["runners"], isolation: "microvm" },
    listed: { forge: "github", scope: repo, on: ["runners"], labels: ["a,b"] },
    wide: { forge: "github", scope: { planet: "earth" }, on: ["runners"] },
    own: { forge: "github", scope: { user: "torjus" }, on: ["runners"] },
    twin: { forge: "github", scope: repo, on: ["runners"], perHost: 2 },
    "twin-1": { forge: "github", scope: repo, on: ["runners"] },
    brief: { forge: "github", scope: repo, on: ["runners"], ephemeral: true },
  },
};

const space = scratch();
let fleet: Rehearsal;
let result: OperationResult;
let calls: readonly RecordedCall[];

beforeAll(async () => {
  fleet = await space.open({ config });
  const before = fleet.calls().length;
  const { code: _, ...forges } = fleet.parts.values.forges;
  result = await fleet.run("up", { values: { forges }, skipPreview: true });
  calls = fleet.calls().slice(before);
});
afterAll(async () => {
  await fleet?.close();
  space.remove();
});

describe("a configuration with every kind of fault", () => {
  test("fails with one message", () => {
    expect(result.ok).toBe(false);
    expect(realErrors(result)).toHaveLength(1);
    expect(realErrors(result)[0]).toMatch(/^The configuration has \d+ faults; nothing was changed\.\n/);
  });

  test.for(Object.entries(faults))("%s has a line that says how to mend it", ([, [path, message]]) => {
    const lines = (realErrors(result)[0] ?? "").split("\n").map((line) => line.trim());
    const own = lines.filter((line) => line.startsWith(`${path}: `));
    expect(own.join("\n"), lines.join("\n")).toMatch(message);
  });

  test("shows no stack trace", () => {
    expect(result.output).not.toMatch(/^\s+at /m);
    expect(result.output).not.toContain("Unhandled exception");
  });

  test("nothing was asked of a cloud, a forge, a host or nix, and nothing was made", async () => {
    expect(calls).toEqual([]);
    expect(servers(fleet.world)).toEqual([]);
    const made = resourcesOf(await fleet.engine.exportState()).map(({ type }) => type);
    expect(made.filter((type) => type !== "pulumi:pulumi:Stack")).toEqual([]);
  });
});
