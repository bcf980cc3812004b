import { describe, expect, test } from "vitest";
import type { Fleet } from "../../../fleet/model.ts";
import { nixFilesOf, nixSources } from "../../../fleet/nix-sources.ts";
import { hashOf } from "../../../fleet/revision.ts";
import {
  digitalOcean,
  existing,
  fleetOf,
  hetzner,
  hostOf,
  nixWith,
  publicKey,
  repoNix,
  runner,
  touched,
} from "./fixture.ts";

const kindsOf = (fleet: Fleet) => Object.fromEntries(fleet.hosts.map(({ name, kind }) => [name, kind.name]));

describe("a kind", () => {
  test("is shared by hosts that Nix cannot tell apart", () => {
    const fleet = fleetOf({
      hosts: { builder: { ...hetzner, count: 2 }, other: { ...hetzner, type: "cpx31", location: "fsn1" } },
    });
    expect(new Set(Object.values(kindsOf(fleet))).size).toBe(1);
    expect(fleet.kinds).toHaveLength(1);
    expect(fleet.kinds[0]?.name).toMatch(/^runners-[0-9a-f]{6}$/);
  });

  test.each([
    ["provider", { other: digitalOcean }],
    ["tags", { other: { ...hetzner, tags: ["runners", "large"] } }],
    ["system", { other: { ...hetzner, type: "cax21" } }],
    ["disk", { other: { ...hetzner, disk: "/dev/sdb" } }],
  ])("differs by %s", (_, hosts) => {
    expect(fleetOf({ hosts: { builder: hetzner, ...hosts } }).kinds).toHaveLength(2);
  });

  test("holds the runners that its hosts carry, without name and credential of any host", () => {
    const fleet = fleetOf({
      runners: { build: { ...runner, perHost: 2 }, jobs: { ...runner, on: ["minter"] } },
      hosts: { builder: hetzner, minter: { ...hetzner, tags: ["minter"] } },
    });
    expect(hostOf(fleet, "builder").kind.runners).toEqual([
      {
        name: "build",
        forge: { kind: "github", url: "https://github.com" },
        scope: { kind: "repo", owner: "owner", name: "name" },
        labels: ["build"],
        isolation: "host",
        ephemeral: false,
        perHost: 2,
        capacity: 1,
      },
    ]);
    expect(JSON.stringify(fleet)).not.toContain("secret");
  });

  test("a file in nix/hosts makes a kind of its own", () => {
    const fleet = fleetOf(
      { hosts: { builder: { ...hetzner, count: 3 } } },
      nixWith({ "hosts/builder-2.nix": "{ }" }),
    );
    const kinds = kindsOf(fleet);
    expect(kinds["builder-1"]).toBe(kinds["builder-3"]);
    expect(kinds["builder-2"]).toMatch(/^builder-2-[0-9a-f]{6}$/);
  });

  test("a text in nix/hosts that is no Nix file makes none", () => {
    expect(nixWith({ "hosts/README.md": "about" }).hosts).toEqual(new Set());
  });
});

describe("an identity", () => {
  test("is what a host knows of itself at run time", () => {
    const fleet = fleetOf({
      hosts: { builder: { ...hetzner, count: 2 } },
      runners: { build: { ...runner, perHost: 2 } },
    });
    expect(hostOf(fleet, "builder-2").identity).toEqual({
      version: 1,
      name: "builder-2",
      fleet: "flotilla-test",
      vaultRole: "builder-2",
      authorizedKeys: [publicKey],
      runners: [
        { name: "builder-2-build-1", runner: "build", instance: 1 },
        { name: "builder-2-build-2", runner: "build", instance: 2 },
      ],
    });
  });

  test("an operator's key changes it on every host, and no kind: nothing is built", () => {
    const before = fleetOf({ hosts: { builder: { ...hetzner, count: 2 } } });
    const bob = publicKey.replace("AAAAC3", "AAAAC4");
    const after = fleetOf({
      hosts: { builder: { ...hetzner, count: 2 } },
      operators: { ann: publicKey, bob },
    });
    expect(touched(before, after)).toEqual(["builder-1", "builder-2"]);
    expect(after.kinds).toEqual(before.kinds);
  });

  test("an operator's name changes nothing", () => {
    expect(touched(fleetOf(), fleetOf({ operators: { zoe: publicKey } }))).toEqual([]);
  });
});

describe("a revision", () => {
  const hosts = {
    builder: { ...hetzner, count: 2, tags: ["runners", "large"] },
    droplet: digitalOcean,
    metal: existing,
  };
  const revised = (files: Record<string, string>, base: Record<string, string> = {}) =>
    touched(fleetOf({ hosts }, nixWith(base)), fleetOf({ hosts }, nixWith({ ...base, ...files })));
  const all = ["builder-1", "builder-2", "droplet", "metal"];

  test.each([
    ["a profile", "profiles/large.nix", ["builder-1", "builder-2"]],
    ["the base profile", "profiles/base.nix", all],
    ["a disk layout", "disks/digitalocean.nix", ["droplet"]],
    ["the flake", "flake.nix", all],
    ["its lock", "flake.lock", all],
    ["a profile that no host has", "profiles/minter.nix", []],
    ["a file that no other names", "modules/unused.nix", []],
    ["a text", "README.md", []],
  ])("changes with %s exactly where it is used", (_, file, expected) => {
    expect(revised({ [file]: "{ changed = true; }" })).toEqual(expected);
  });

  test("a comment is part of its file: exactly the hosts that use it change", () => {
    expect(revised({ "profiles/large.nix": "# a thought\n{ /* large */ }" })).toEqual([
      "builder-1",
      "builder-2",
    ]);
  });

  test("a runner's labels change the hosts that carry it", () => {
    const jobs = { ...runner, on: ["microvm"], forge: "code" };
    const after = { build: runner, jobs: { ...jobs, labels: ["new"] } };
    expect(
      touched(fleetOf({ hosts, runners: { build: runner, jobs } }), fleetOf({ hosts, runners: after })),
    ).toEqual(["metal"]);
  });

  test("a credential changes none", () => {
    const after = { credentials: { github: { token: "another" }, code: { token: "another" } } };
    expect(touched(fleetOf(), fleetOf(after))).toEqual([]);
  });

  describe("follows relative paths", () => {
    const imports = {
      "profiles/large.nix": "{ imports = [ ../modules/cache ./more/one.nix ]; }",
      "modules/cache/default.nix": "{ imports = [ ./keys.nix ]; script = ./start.sh; }",
      "modules/cache/keys.nix": "{ imports = [ ./default.nix ../trees ]; }",
      "modules/cache/start.sh": "exec cache",
      "modules/trees/default.nix": "{ source = ./files; }",
      "modules/trees/files/a/b.conf": "b",
      "modules/trees/other.nix": "{ }",
      "profiles/more/one.nix": "{ }",
    };
    const large = ["builder-1", "builder-2"];

    test.each([
      ["to a file", "profiles/more/one.nix", large],
      ["to a folder's default.nix", "modules/cache/default.nix", large],
      ["from there on, also in a circle", "modules/cache/keys.nix", large],
      ["to a script", "modules/cache/start.sh", large],
      ["into a folder without default.nix", "modules/trees/files/a/b.conf", large],
      ["but not beside default.nix", "modules/trees/other.nix", []],
    ])("%s", (_, file, expected) => {
      expect(revised({ [file]: "changed" }, imports)).toEqual(expected);
    });

    const filesNamedBy = (text: string) => {
      const nix = nixSources(
        new Map([
          ["flake.nix", text],
          ["a.nix", ""],
          ["b/c.nix", ""],
          ["profiles/x.nix", ""],
        ]),
      );
      return Object.keys(nixFilesOf({ tags: [] }, nix)).filter((path) => path !== "flake.nix");
    };
    test.each([
      ["a path", "import ./a.nix", ["a.nix"]],
      ["a path without a dot", "import b/c.nix", ["b/c.nix"]],
      ["a path in an interpolation", `"sh \${./a.nix}"`, ["a.nix"]],
      ["in a comment", "# ./a.nix\n/* ./b/c.nix */ { }", []],
      [
        "behind what only looks like a comment",
        '{ s = "#"; t = "*/5 src/*"; i = ./a.nix; u = "b/*/"; }',
        ["a.nix"],
      ],
      [
        "behind a shell comment",
        "{ s = ''\n  # it''\\'s ./b/c.nix\n''; i = ./a.nix; }",
        ["a.nix", "b/c.nix"],
      ],
      ["the flake itself, and the folders that a kind chooses from", "[ ./. ./profiles ]", []],
      ["an absolute path", 'root + "/a.nix"', []],
    ])("%s", (_, text, expected) => {
      expect(filesNamedBy(text).toSorted()).toEqual(expected);
    });
  });
});

describe("the Nix files of this repository", () => {
  const files = (tags: readonly string[], layout = "hetzner") =>
    Object.keys(nixFilesOf({ tags, disk: { layout } }, repoNix));

  test("a profile is part of the kinds with its tag only", () => {
    expect(files(["large", "runners"])).toContain("profiles/large.nix");
    expect(files(["small", "runners"])).not.toContain("profiles/large.nix");
  });

  test("every kind is made of the modules and the library, and of no check", () => {
    const each = files([]);
    expect(each).toEqual(
      expect.arrayContaining([
        "flake.nix",
        "profiles/base.nix",
        "modules/vault.nix",
        "lib/layers.nix",
        "modules/kind/options.nix",
      ]),
    );
    expect(each.filter((path) => /^(checks|hosts)\/|\.md$/.test(path))).toEqual([]);
  });

  test("editing profiles/large.nix touches the large hosts only", () => {
    const edited = nixSources(new Map([...repoNix.files, ["profiles/large.nix", "{ }"]]));
    const hosts = {
      builder: { ...hetzner, count: 2, tags: ["runners", "large"] },
      small: { ...hetzner, tags: ["runners", "small"] },
      metal: existing,
    };
    expect(touched(fleetOf({ hosts }, repoNix), fleetOf({ hosts }, edited))).toEqual([
      "builder-1",
      "builder-2",
    ]);
  });
});

test("a hash does not depend on the order of keys, but on that of a list", () => {
  expect(hashOf({ a: 1, b: { c: 2, d: 3 } }, 12)).toBe(hashOf({ b: { d: 3, c: 2 }, a: 1 }, 12));
  expect(hashOf(["a", "b"], 12)).not.toBe(hashOf(["b", "a"], 12));
});
