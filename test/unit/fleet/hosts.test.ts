import { describe, expect, test } from "vitest";
import {
  digitalOcean,
  existing,
  faultsOf,
  fleetOf,
  hetzner,
  hostOf,
  nixWith,
  runner,
  touched,
} from "./fixture.ts";

const names = (hosts: Record<string, unknown>) =>
  fleetOf({ hosts, runners: {} }, nixWith({ "hosts/cache.nix": "{ }" })).hosts.map(({ name }) => name);

describe("a group becomes hosts", () => {
  test("with count it numbers them, without it bears the name itself", () => {
    expect(names({ builder: { ...hetzner, count: 3 } })).toEqual(["builder-1", "builder-2", "builder-3"]);
    expect(names({ builder: { ...hetzner, count: 1 } })).toEqual(["builder-1"]);
    expect(names({ builder: hetzner })).toEqual(["builder"]);
    expect(names({ builder: { ...hetzner, count: 0 } })).toEqual([]);
  });

  test("numbers stay in order beyond nine", () => {
    expect(names({ builder: { ...hetzner, count: 11 } }).slice(8)).toEqual([
      "builder-9",
      "builder-10",
      "builder-11",
    ]);
  });

  test("growing one group touches no host of another, nor the group's own", () => {
    const withCount = (count: number) =>
      fleetOf({
        hosts: { builder: { ...hetzner, count }, droplet: { ...digitalOcean, count: 2 }, arm: hetzner },
      });
    expect(touched(withCount(2), withCount(4))).toEqual(["builder-3", "builder-4"]);
    expect(touched(withCount(4), withCount(2))).toEqual([]);
  });

  test("the order in which groups, runners and tags are written decides nothing", () => {
    const hosts = { arm: { ...hetzner, tags: ["runners", "large"] }, builder: { ...hetzner, count: 2 } };
    const runners = { build: runner, test: runner };
    const reversed = {
      hosts: { builder: hosts.builder, arm: { ...hosts.arm, tags: ["large", "runners"] } },
      runners: { test: runners.test, build: runners.build },
    };
    expect(fleetOf(reversed)).toEqual(fleetOf({ hosts, runners }));
  });

  test("the system follows from the machine: Hetzner's cax are ARM", () => {
    const { hosts } = fleetOf({
      hosts: { arm: { ...hetzner, type: "cax21" }, builder: hetzner, droplet: digitalOcean },
    });
    expect(hosts.map(({ system }) => system)).toEqual(["aarch64-linux", "x86_64-linux", "x86_64-linux"]);
  });

  test("prod protects a host until it is released", () => {
    const protectedHosts = (release: readonly string[]) =>
      fleetOf({
        hosts: { builder: { ...hetzner, count: 2, tags: ["prod", "runners"] }, dev: hetzner },
        release,
      })
        .hosts.filter(({ protect }) => protect)
        .map(({ name }) => name);
    expect(protectedHosts([])).toEqual(["builder-1", "builder-2"]);
    expect(protectedHosts(["builder-2"])).toEqual(["builder-1"]);
    expect(protectedHosts(["*"])).toEqual([]);
    // Still named there when it is gone: a removal takes two runs.
    expect(protectedHosts(["builder-3"])).toEqual(["builder-1", "builder-2"]);
  });

  test("a machine is replaced by the group's generation, or by its own", () => {
    const generations = (group: object) =>
      fleetOf({ hosts: { builder: { ...hetzner, count: 2, ...group } } }).hosts.map(
        ({ generation }) => generation,
      );
    expect(generations({})).toEqual([1, 1]);
    expect(generations({ generation: 2 })).toEqual([2, 2]);
    expect(generations({ generations: { "builder-2": 3 } })).toEqual([1, 3]);
    expect(faultsOf({ hosts: { builder: { ...hetzner, generations: { "builder-9": 2 } } } })).toEqual([
      "hosts.builder.generations.builder-9: the group has no host of this name; one of builder",
    ]);
  });

  test("a generation is of the machine, not of what it runs", () => {
    const before = fleetOf();
    expect(touched(before, fleetOf({ hosts: { builder: { ...hetzner, generation: 2 } } }))).toEqual([]);
  });
});

describe("a disk", () => {
  const diskOf = (disk?: string) =>
    hostOf(
      fleetOf(
        { hosts: { builder: { ...hetzner, ...(disk === undefined ? {} : { disk }) } } },
        nixWith({ "disks/nvme.nix": "{ }" }),
      ),
      "builder",
    ).kind.disk;

  test("has the provider's layout, another one by its name, or another device by its path", () => {
    expect(diskOf()).toEqual({ layout: "hetzner" });
    expect(diskOf("nvme")).toEqual({ layout: "nvme" });
    expect(diskOf("/dev/disk/by-id/scsi-1")).toEqual({ layout: "hetzner", device: "/dev/disk/by-id/scsi-1" });
  });
});

describe("an existing machine", () => {
  const { installId: _, ...untouched } = existing;
  const nix = nixWith({ "hosts/cache.nix": "{ }" });
  const faults = (entry: object, name = "cache") => faultsOf({ hosts: { [name]: entry }, runners: {} }, nix);

  test("is wiped under an installId, or adopted with its own hardware configuration", () => {
    expect(faults(existing)).toEqual([]);
    const [host] = fleetOf({ hosts: { cache: { ...untouched, adopt: true } }, runners: {} }, nix).hosts;
    expect(host).toMatchObject({ adopt: true, kind: { host: "cache" } });
    expect(host).not.toHaveProperty("installId");
    expect(host?.kind).not.toHaveProperty("disk");
  });

  test.each([
    [
      "nothing says what may be done to it",
      untouched,
      "hosts.cache: nothing says what may be done to this machine; set installId (wipes the disk and installs NixOS) or adopt: true (keeps both)",
    ],
    [
      "both are said",
      { ...existing, adopt: true },
      "hosts.cache: adopt keeps the disk and installId wipes it; remove one of them",
    ],
    [
      "adopted, with a disk layout",
      { ...untouched, adopt: true, disk: "/dev/sda" },
      "hosts.cache.disk: an adopted machine keeps its disks; remove it, or replace adopt by installId to wipe the machine",
    ],
    [
      "more than one machine at an address",
      { ...existing, count: 2 },
      "hosts.cache.count: unknown key; remove it or mend its spelling",
    ],
  ])("%s", (_, entry, line) => {
    expect(faults(entry)).toEqual([line]);
  });

  test("adopted, without a hardware configuration", () => {
    expect(faults({ ...untouched, adopt: true }, "other")).toEqual([
      "hosts.other: an adopted machine needs its hardware configuration; add nix/hosts/other.nix",
    ]);
  });

  test("is one host: another name for it would wipe it under the first one's jobs", () => {
    const hosts = { one: existing, two: existing, three: { ...existing, sshPort: 2222 } };
    expect(faultsOf({ hosts, runners: {} })).toEqual([
      'hosts.two.address: "198.51.100.7" is the machine of hosts.one already; remove one of the two or mend the address',
    ]);
  });

  test("a new installId wipes the machine and changes nothing that it runs", () => {
    const withId = (installId: string) =>
      fleetOf({ hosts: { metal: { ...existing, installId } }, runners: {} });
    expect(touched(withId("2026-11"), withId("2026-12"))).toEqual([]);
  });
});
