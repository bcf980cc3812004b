/**
 * Faults in the world end in a named error or in a success: what is sound finishes, what waits is named, and the next
 * `up` finishes the job. Each test goes on from the world that the one before it left.
 */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Rehearsal } from "../../rehearsal/rehearsal.ts";
import { writeShims } from "../../rehearsal/stand-ins/index.ts";
import { callsDuring, scratch, succeeded } from "./fixture.ts";
import {
  aftermath,
  inject,
  nextCall,
  pendingFaults,
  processes,
  servers,
  smallConfig,
  wipes,
} from "./small.ts";

const space = scratch();
let fleet: Rehearsal;

beforeAll(async () => {
  fleet = await space.open({ config: smallConfig });
});
afterAll(async () => {
  await fleet?.close();
  space.remove();
});

let set: readonly string[] = [];
/** An up with what was set before and this. */
const up = (...more: readonly string[]) => {
  set = [...set, ...more];
  return fleet.run("up", { set, skipPreview: true });
};
/** An up that leaves everything converged and nothing to do. */
const finishes = async (hosts: readonly string[]) => {
  expect(pendingFaults(fleet.world)).toEqual([]);
  const result = succeeded(await up());
  expect((await aftermath(fleet, result)).converged).toEqual(hosts);
  expect(servers(fleet.world)).toEqual(hosts);
};
const builders = (count: number) => Array.from({ length: count }, (_, index) => `builder-${index + 1}`);

describe("install", () => {
  test("a connection dropped in the middle fails that host alone, and the next up installs it", async () => {
    inject(fleet.world, { "host:builder-2": "drop-in-install" });
    const { errors, converged, heldBack } = await aftermath(fleet, await up());
    expect(errors).toContain("nixos-anywhere failed on builder-2");
    expect(converged).toEqual(["builder-1", "builder-3"]);
    expect(heldBack).toEqual([]);

    const calls = await callsDuring(fleet, () => finishes(builders(3)));
    expect(calls.filter(({ part }) => part === "nixos-anywhere").map(({ detail }) => detail)).toEqual([
      "root@builder-2",
    ]);
    expect(wipes(fleet)).toEqual({ "builder-1": 1, "builder-2": 2, "builder-3": 1 });
  });

  test("a machine that never answers is given up when its time is over, and named", async () => {
    inject(fleet.world, { "host:builder-4": "vanish" });
    const { errors, converged } = await aftermath(
      fleet,
      await up("hosts.builder.count=5", "rollout.bootMinutes=0.1"),
    );
    expect(errors).toContain("builder-4 does not answer over SSH");
    expect(errors).not.toContain("builder-5");
    expect(converged).toEqual(["builder-1", "builder-2", "builder-3", "builder-5"]);
    expect(wipes(fleet)["builder-4"]).toBe(0);

    inject(fleet.world, { "host:builder-4": "back" });
    set = [...set, "rollout.bootMinutes=5"];
    const result = succeeded(await up());
    expect((await aftermath(fleet, result)).converged).toEqual(builders(5));
    expect(wipes(fleet)).toMatchObject({ "builder-4": 1, "builder-5": 1 });
  });

  test("what nixos-anywhere says when it fails is in the error", async () => {
    const program = join(fleet.world.dir, "bin", "nixos-anywhere");
    writeFileSync(program, "#!/bin/sh\necho 'aborted: no tar command found' >&2\nexit 1\n");
    chmodSync(program, 0o755);
    const { errors, converged } = await aftermath(fleet, await up("hosts.builder.count=6"));
    expect(errors).toMatch(/nixos-anywhere failed on builder-6 \(exit 1\):\s+aborted: no tar command found/);
    expect(converged).toEqual(builders(5));

    writeShims(fleet.world.dir, process.execPath);
    await finishes(builders(6));
    expect(wipes(fleet)["builder-6"]).toBe(1);
  });
});

describe("build", () => {
  test("a kind that does not build switches no host, and removes none", async () => {
    inject(fleet.world, { nix: "build-fails" });
    const result = await up("hosts.builder.count=3", 'runners.native.labels=["built"]');
    const { errors, converged, heldBack } = await aftermath(fleet, result);
    expect(errors).toMatch(/kind dev-runners-small-\w+ does not build/);
    expect(converged).toEqual([]);
    expect(heldBack.toSorted()).toEqual(["builder-2", "builder-3", "builder-4", "builder-5", "builder-6"]);
    await finishes(builders(3));
  });
});

describe("converge", () => {
  test("a host whose units fail is named; the others of its wave finish", async () => {
    inject(fleet.world, { "host:builder-2": "switch-fails" });
    const { errors, converged, heldBack } = await aftermath(
      fleet,
      await up('runners.native.labels=["switched"]'),
    );
    expect(errors).toContain("colmena could not converge builder-2");
    expect(errors).toContain("rehearsal.service");
    expect(converged).toEqual(["builder-1", "builder-3"]);
    expect(heldBack).toEqual([]);
    await finishes(builders(3));
  });

  test("a host whose boot loader fails keeps what it ran, and the state says so", async () => {
    inject(fleet.world, { "host:builder-3": "bootloader-fails" });
    const { errors, converged } = await aftermath(fleet, await up('runners.native.labels=["booted"]'));
    expect(errors).toMatch(/colmena could not converge builder-3:[\s\S]*Failed to install bootloader/);
    expect(converged).toEqual(["builder-1", "builder-2"]);
    await finishes(builders(3));
  });

  test("when the canary fails the next wave does not start, and its hosts are named", async () => {
    inject(fleet.world, { "host:builder-1": "switch-fails" });
    const calls = await callsDuring(fleet, async () => {
      const { errors, converged, heldBack } = await aftermath(
        fleet,
        await up('runners.native.labels=["canary"]'),
      );
      expect(errors).toContain("colmena could not converge builder-1");
      expect(converged).toEqual([]);
      expect(heldBack).toEqual(["builder-2", "builder-3"]);
    });
    expect(calls.filter(({ part }) => part === "ssh builder-2" || part === "ssh builder-3")).toEqual([]);
    await finishes(builders(3));
  });

  test("a host that vanishes is named", async () => {
    inject(fleet.world, { "host:builder-3": "vanish" });
    const { errors, converged } = await aftermath(fleet, await up('runners.native.labels=["vanished"]'));
    expect(errors).toContain("colmena could not converge builder-3");
    expect(converged).toEqual(["builder-1", "builder-2"]);

    inject(fleet.world, { "host:builder-3": "back" });
    expect((await aftermath(fleet, succeeded(await up()))).converged).toEqual(builders(3));
  });

  test("Vault that goes away meanwhile is named", async () => {
    const during = up('runners.native.labels=["sealed"]');
    await nextCall(fleet.world, /^colmena apply/);
    const [vault] = processes("server", join(fleet.world.dir, "vault", "config.json"));
    if (vault === undefined) throw new Error("no Vault runs");
    process.kill(vault, "SIGKILL");
    const { errors } = await aftermath(fleet, await during);
    expect(errors).toMatch(/Vault at http:\S+: .*no answer \(ECONNREFUSED\)/);

    await fleet.close();
    fleet = await space.open({ config: smallConfig });
    await finishes(builders(3));
  });
});

describe("forges", () => {
  test("a forge that answers 500 once is asked again", async () => {
    inject(fleet.world, { "forge:code": "500", "forge:github": "500" });
    succeeded(await up("runners.more={forge: code, scope: {user: torjus}, on: [runners]}"));
    await finishes(builders(3));
  });

  test("a credential that the forge refuses is named, with how to mend it", async () => {
    inject(fleet.world, { "forge:code": "401" }, 100);
    const { errors, converged } = await aftermath(
      fleet,
      await up("runners.again={forge: code, scope: {user: torjus}, on: [runners]}"),
    );
    expect(errors).toContain("answered 401");
    expect(errors).toContain("set flotilla:credentials.code to a valid one");
    expect(converged).toEqual([]);
    inject(fleet.world, {});
    await finishes(builders(3));
  });
});

describe("clouds", () => {
  test("a type that is sold out fails its host alone", async () => {
    inject(fleet.world, { hetzner: "resource_unavailable" });
    const { errors, converged } = await aftermath(fleet, await up("hosts.builder.count=5"));
    expect(errors).toContain("resource_unavailable");
    expect(errors).toMatch(/builder-[45]/);
    expect(converged).toHaveLength(4);
    await finishes(builders(5));
  });

  test("a cloud that asks to slow down is asked again", async () => {
    inject(fleet.world, { hetzner: "429" });
    succeeded(await up("hosts.builder.count=6"));
    await finishes(builders(6));
  });

  test("a cloud in trouble makes nothing twice", async () => {
    inject(fleet.world, { hetzner: "500" });
    const { errors } = await aftermath(fleet, await up("hosts.builder.count=7"));
    expect(errors).toContain("Hetzner Cloud: POST /servers: 500");
    await finishes(builders(7));
  });
});
