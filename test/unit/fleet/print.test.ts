import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { readPrintedFleet, summarise } from "../../../fleet/print.ts";
import { digitalOcean, hetzner, root, runner, smallFleet, type Values } from "./fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "flotilla-print-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const { credentials: _, ...plain } = smallFleet;
const withoutSecrets = { ...plain, vault: { address: smallFleet.vault.address } };
const sealed = { secure: "v1:abcdefgh:c2VjcmV0" };

function write(values: Values): void {
  const config = Object.entries(values).map(([key, value]) => [`flotilla:${key}`, value]);
  writeFileSync(join(directory, "Pulumi.yaml"), stringify({ name: "flotilla", runtime: "nodejs" }));
  writeFileSync(join(directory, "Pulumi.test.yaml"), stringify({ config: Object.fromEntries(config) }));
}

/** What is printed of these values. */
function print(values: Values): string {
  write(values);
  return stringify(summarise(readPrintedFleet(directory, "test")));
}

/** The command itself. */
function run(cwd: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "fleet", "print.ts"), ...args], {
    cwd,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

describe("fleet/print.ts", () => {
  test("prints the production fleet of a checkout that has no secret", () => {
    const { status, stdout, stderr } = run(root, "prod", "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const fleet = JSON.parse(stdout);
    expect(parse(run(root, "prod").stdout)).toEqual(fleet);
    expect(Object.keys(fleet.hosts)).toEqual([
      "arm",
      "builder-1",
      "builder-2",
      "builder-3",
      "droplet-1",
      "droplet-2",
      "metal",
      "nix-cache02",
    ]);
    expect(fleet.hosts["builder-1"]).toMatchObject({
      provider: "hetzner",
      tags: ["large", "prod", "runners"],
      kind: expect.stringMatching(/^large-prod-runners-[0-9a-f]{6}$/),
      revision: expect.stringMatching(/^[0-9a-f]{12}-[0-9a-f]{8}$/),
      runners: ["builder-1-docker-build-1", "builder-1-docker-build-2"],
    });
    expect(Object.values(fleet.waves).flat().toSorted()).toEqual(Object.keys(fleet.hosts));
  });

  test("puts encrypted and missing secrets behind placeholders, and prints neither", () => {
    const App = { appId: 1, installationId: 2, privateKey: sealed };
    const kept = {
      ...withoutSecrets,
      credentials: { github: App, ssh: { privateKey: sealed } },
      vault: { ...withoutSecrets.vault, auth: { token: sealed } },
    };
    const printed = print(kept);
    expect(printed).not.toMatch(/secure|v1:|secret|PRIVATE/);
    expect(printed).toBe(print(withoutSecrets));
    expect(printed).toBe(print({ ...withoutSecrets, credentials: sealed }));
  });

  test("prints the same for the same fleet, in whatever order it is written", () => {
    const hosts = { builder: hetzner, droplet: digitalOcean };
    const reversed = { droplet: digitalOcean, builder: hetzner };
    expect(print({ ...withoutSecrets, hosts })).toBe(print({ ...withoutSecrets, hosts: reversed }));
  });

  test("shows a change of a machine that changes nothing of what it runs", () => {
    const before = print(withoutSecrets).split("\n");
    const after = print({
      ...withoutSecrets,
      hosts: { builder: { ...hetzner, type: "ccx33" } },
    }).split("\n");
    expect(after.filter((line) => !before.includes(line))).toEqual(["    type: ccx33"]);
  });

  test("says the configuration's faults on stderr, with neither output nor stack trace", () => {
    write({ ...withoutSecrets, runners: { build: { ...runner, forge: "gitlab" } } });
    const { status, stdout, stderr } = run(directory, "test");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toBe(
      'The configuration has 1 fault; nothing was changed.\n  runners.build.forge: "gitlab" is no forge of this fleet; one of code, github\n',
    );
  });

  test("says what is missing", () => {
    expect(run(directory)).toMatchObject({
      status: 1,
      stderr: "usage: node fleet/print.ts STACK [--json]\n",
    });
    expect(run(directory, "nosuch")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^there is no .*Pulumi\.nosuch\.yaml\n$/),
    });
  });
});
