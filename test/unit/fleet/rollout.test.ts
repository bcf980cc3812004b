import { describe, expect, test } from "vitest";
import { wavesOf } from "../../../fleet/waves.ts";
import { existing, fleetOf, hetzner, hostOf, runner } from "./fixture.ts";

describe("waves", () => {
  const host = (name: string, kind: string, ...tags: string[]) => ({ name, tags, kind: { name: kind } });
  const hosts = [
    host("a-1", "a"),
    host("a-2", "a"),
    host("a-3", "a", "try"),
    host("b-1", "b"),
    host("c-1", "c"),
    host("c-2", "c"),
  ];
  const waves = (canary: number | string) =>
    Object.fromEntries(wavesOf(hosts, canary).map((wave) => [wave.name, wave.hosts]));

  test("a number takes so many of every kind that has more", () => {
    expect(waves(1)).toEqual({ canary: ["a-1", "c-1"], fleet: ["a-2", "a-3", "b-1", "c-2"] });
    expect(waves(2)).toEqual({ canary: ["a-1", "a-2"], fleet: ["a-3", "b-1", "c-1", "c-2"] });
  });

  test("a tag takes the hosts that bear it", () => {
    expect(waves("try")).toEqual({ canary: ["a-3"], fleet: ["a-1", "a-2", "b-1", "c-1", "c-2"] });
  });

  test("0 makes one wave of all", () => {
    expect(waves(0)).toEqual({ fleet: hosts.map(({ name }) => name) });
  });

  test("there is no empty wave", () => {
    expect(wavesOf([], 1)).toEqual([]);
    expect(wavesOf([host("a", "a", "try")], "try")).toEqual([{ name: "canary", hosts: ["a"] }]);
  });

  test("every host is in exactly one wave of its fleet", () => {
    const fleet = fleetOf({ hosts: { builder: { ...hetzner, count: 3 }, metal: existing } });
    expect(fleet.waves).toEqual([
      { name: "canary", hosts: ["builder-1"] },
      { name: "fleet", hosts: ["builder-2", "builder-3", "metal"] },
    ]);
  });
});

describe("placement", () => {
  const placed = (fleet: ReturnType<typeof fleetOf>, host: string) =>
    hostOf(fleet, host).placements.map(({ name }) => name);

  test("a runner goes to the hosts with any of its tags", () => {
    const fleet = fleetOf({
      hosts: {
        builder: { ...hetzner, count: 2 },
        big: { ...hetzner, tags: ["large", "runners"] },
        metal: existing,
      },
      runners: { build: runner, everywhere: { ...runner, on: ["runners", "microvm", "large"] } },
    });
    expect(placed(fleet, "builder-2")).toEqual(["builder-2-build", "builder-2-everywhere"]);
    expect(placed(fleet, "big")).toEqual(["big-build", "big-everywhere"]);
    expect(placed(fleet, "metal")).toEqual(["metal-everywhere"]);
  });

  test("more than one on a host are numbered", () => {
    const fleet = fleetOf({ runners: { build: { ...runner, perHost: 3 } } });
    expect(placed(fleet, "builder")).toEqual(["builder-build-1", "builder-build-2", "builder-build-3"]);
  });

  test("its label is its name until others are given", () => {
    const [unnamed, named] = fleetOf({
      runners: { build: runner, test: { ...runner, labels: ["nix", "x86"] } },
    }).runners;
    expect(unnamed?.labels).toEqual(["build"]);
    expect(named?.labels).toEqual(["nix", "x86"]);
  });

  test.each([
    [{}, { min: 1, max: 1, vcpus: 2, memoryMib: 2048 }],
    [{ min: 3 }, { min: 3, max: 3, vcpus: 2, memoryMib: 2048 }],
    [{ min: 0 }, { min: 0, max: 1, vcpus: 2, memoryMib: 2048 }],
    [
      { max: 10, vcpus: 4 },
      { min: 1, max: 10, vcpus: 4, memoryMib: 2048 },
    ],
  ])("a pool of VMs %j is %j, fresh for each job", (entry, pool) => {
    const jobs = { ...runner, on: ["microvm"], isolation: "microvm", ...entry };
    expect(fleetOf({ hosts: { metal: existing }, runners: { jobs } }).runners[0]).toMatchObject({
      pool,
      ephemeral: true,
    });
  });

  test.each([
    [{ repo: "owner/name" }, { kind: "repo", owner: "owner", name: "name" }],
    [{ user: "ann" }, { kind: "user", name: "ann" }],
    [{ org: "acme" }, { kind: "org", name: "acme" }],
    [{ instance: true }, { kind: "instance" }],
  ])("scope %j is %j", (scope, expected) => {
    expect(fleetOf({ runners: { build: { ...runner, forge: "code", scope } } }).runners[0]?.scope).toEqual(
      expected,
    );
  });
});

describe("Vault", () => {
  const vault = { address: "https://vault.example.org:8200/", auth: { token: "vault-secret" } };

  test("gets mounts of the fleet's own, which go with it", () => {
    expect(fleetOf({ vault }).vault).toEqual({
      address: "https://vault.example.org:8200",
      mount: "flotilla-test",
      approleMount: "flotilla-test",
      ownsMount: true,
      ownsApproleMount: true,
    });
  });

  test("keeps mounts that are named", () => {
    expect(fleetOf({ vault: { ...vault, mount: "secret" } }).vault).toMatchObject({
      mount: "secret",
      ownsMount: false,
      ownsApproleMount: true,
    });
  });
});
