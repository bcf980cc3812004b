import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../fleet/faults.ts";
import {
  digitalOcean,
  existing,
  faultsOf,
  hetzner,
  nixWith,
  parse,
  publicKey,
  runner,
  smallFleet,
} from "./fixture.ts";

const faulty = {
  colour: "red",
  forges: smallFleet.forges,
  credentials: { github: { token: "ghp-secret" } },
  hosts: {
    arm: { ...hetzner, tags: ["runners", "arm"] },
    big: { ...hetzner, count: -1, tags: ["large"] },
    builder: { ...hetzner, count: 2, colour: "red" },
    "builder-1": hetzner,
    droplet: { ...digitalOcean, count: "two" },
    metal: { ...existing, disk: "sda" },
  },
  runners: {
    build: { ...runner, ephemeral: true },
    comma: { ...runner, labels: ["nix,large"] },
    elsewhere: { ...runner, forge: "gitlab" },
    jobs: { ...runner, on: ["runners"], isolation: "microvm" },
    many: { ...runner, on: ["microvm"], perHost: 2 },
    "many-1": { ...runner, on: ["microvm"] },
    nobody: { ...runner, on: ["nobody"] },
    team: { ...runner, scope: { team: "core" } },
    user: { ...runner, scope: { user: "torjus" } },
  },
};

describe("a configuration with many faults", () => {
  const lines = faultsOf(faulty, nixWith(), ["hetzner"]);

  test.each([
    ["unknown key", "colour: unknown key; remove it or mend its spelling"],
    ["unknown key of a group", "hosts.builder.colour: unknown key; remove it or mend its spelling"],
    ["wrong type", 'hosts.droplet.count: "two" is not a number'],
    ["negative count", "hosts.big.count: -1 is too small; at least 0"],
    [
      "two groups that make one host",
      'hosts.builder-1: host "builder-1" is also made by hosts.builder; rename one of the groups',
    ],
    [
      "tag without a profile",
      'hosts.arm.tags.1: "arm" has no profile; add nix/profiles/arm.nix or use one of base, large, microvm, minter, prod, runners',
    ],
    [
      "relative disk",
      'hosts.metal.disk: "sda" is not an absolute path; use /dev/disk/by-id/… or a layout of nix/disks (digitalocean, generic, hetzner)',
    ],
    [
      "tag that no host has",
      'runners.nobody.on.0: no host has the tag "nobody"; one of arm, large, microvm, runners',
    ],
    ["unknown forge", 'runners.elsewhere.forge: "gitlab" is no forge of this fleet; one of code, github'],
    [
      "missing credential",
      "credentials.code: missing; run `pulumi config set --path --secret 'flotilla:credentials.code.token'`",
    ],
    [
      "missing cloud token",
      "digitalocean:token: missing; run `pulumi config set --secret digitalocean:token`",
    ],
    [
      "microvm on Hetzner Cloud",
      "runners.jobs.isolation: microvm needs /dev/kvm, which Hetzner Cloud's ccx23 of hosts.builder does not have; place it on bare metal or DigitalOcean",
    ],
    [
      "comma in a label",
      'runners.comma.labels.0: "nix,large" has a comma or a space, which forges take for the end of a label; write two labels',
    ],
    ["unknown scope", "runners.team.scope.team: unknown key; remove it or mend its spelling"],
    [
      "scope that the forge lacks",
      "runners.user.scope.user: github has no such scope; one of enterprise, org, repo",
    ],
    [
      "two runners of one name on a host",
      'runners.many-1: its runner "metal-many-1" on host metal is also made by runners.many on host metal; rename one of them',
    ],
    [
      "ephemeral GitHub runner without a minter",
      "runners.build: an ephemeral GitHub runner needs a fresh token for each job, and no host has the tag minter; tag one, or set ephemeral: false",
    ],
  ])("%s", (_, line) => {
    expect(lines).toContain(line);
  });

  test("is one error with a line for each, and no stack trace for Pulumi to show", () => {
    const thrown = (() => {
      try {
        return parse(faulty);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toBeInstanceOf(ConfigError);
    const { message, faults } = thrown as ConfigError;
    const [head, ...rest] = message.split("\n");
    expect(head).toBe(`The configuration has ${faults.length} faults; nothing was changed.`);
    expect(rest).toEqual(faults.map((fault) => `  ${fault.path}: ${fault.message}`));
    // Pulumi tells a RunError by this, and prints its message alone.
    expect(thrown).toHaveProperty("__pulumiRunError", true);
  });

  test("says each thing once", () => {
    expect(new Set(lines).size).toBe(lines.length);
    // A runner with a fault on many hosts is one fault: of the runner.
    const jobs = faultsOf({
      hosts: { builder: { ...hetzner, count: 50 } },
      runners: { jobs: { ...runner, isolation: "microvm" } },
    });
    expect(jobs).toHaveLength(1);
  });
});

describe("what is malformed is not called missing", () => {
  test("tags and minter of a group with a fault of its own", () => {
    expect(
      faultsOf({
        hosts: { builder: { provider: "hetzner", location: "nbg1", tags: ["runners", "minter"] } },
        runners: { build: { ...runner, ephemeral: true } },
      }),
    ).toEqual(["hosts.builder.type: missing; must be a string"]);
  });

  test("a forge, and its credential", () => {
    expect(
      faultsOf({
        forges: { ...smallFleet.forges, github: { kind: "gihtub" } },
        credentials: { ...smallFleet.credentials, code: { tokn: "code-secret" } },
      }),
    ).toEqual([
      'forges.github.kind: "gihtub" is none of github, forgejo, gitea',
      "credentials.code: must be { token } or { appId, installationId, privateKey }",
    ]);
  });

  test("networks and operators", () => {
    expect(faultsOf({ sshFrom: ["203.0.113.4"], operators: { ann: "AAAA" } })).toEqual([
      'operators.ann: "AAAA" is not an SSH public key; give its whole line, e.g. "ssh-ed25519 AAAA…"',
      'sshFrom.0: "203.0.113.4" is not a network; write e.g. "203.0.113.4/32"',
    ]);
  });

  test("a fault of one part hides no fault of another", () => {
    const lines = faultsOf({ hosts: "none", runners: { build: { ...runner, forge: "gitlab" } }, rollout: 1 });
    expect(lines).toEqual([
      'hosts: "none" is not a map',
      "rollout: 1 is not a map",
      'runners.build.forge: "gitlab" is no forge of this fleet; one of code, github',
      'runners.build.on.0: no host has the tag "runners"; there is none yet',
    ]);
  });
});

describe("a fleet that nobody could use", () => {
  test("has hosts and no operator", () => {
    const [line] = faultsOf({ operators: {} });
    expect(line).toMatch(/^operators: missing; name who may log in/);
    expect(faultsOf({ operators: {}, hosts: {}, runners: {} })).toEqual([]);
  });

  test("has cloud hosts that no network reaches", () => {
    expect(faultsOf({ sshFrom: [] })[0]).toMatch(/^sshFrom: missing; name the networks that you deploy from/);
    expect(faultsOf({ sshFrom: [], hosts: { metal: existing }, runners: {} })).toEqual([]);
  });

  test("has a canary tag that no host bears: all would go first", () => {
    expect(faultsOf({ rollout: { canary: "canary" } })).toEqual([
      'rollout.canary: no host has the tag "canary", so none would go first; one of runners, or give a number',
    ]);
  });
});

describe("runners", () => {
  const faultsOfRunner = (entry: Record<string, unknown>, name = "build") =>
    faultsOf({ runners: { [name]: { ...runner, ...entry } } });

  test.each([
    [
      "two scopes",
      { scope: { repo: "a/b", org: "a" } },
      'runners.build.scope: {"repo":"a/b","org":"a"} must name exactly one of repo, user, org, enterprise, instance',
    ],
    [
      "a repository without owner",
      { scope: { repo: "name" } },
      'runners.build.scope.repo: "name" is not owner/name',
    ],
    [
      "a pool without VMs",
      { max: 3 },
      "runners.build.max: only microvm runners have it; remove it or set isolation: microvm",
    ],
    [
      "jobs at once on GitHub",
      { capacity: 4 },
      "runners.build.capacity: a GitHub runner takes one job at a time; use perHost for more",
    ],
    [
      "an unknown isolation",
      { isolation: "docker" },
      'runners.build.isolation: "docker" is none of host, container, nspawn, microvm',
    ],
    ["half a registration", { perHost: 0.5 }, "runners.build.perHost: 0.5 is not a whole number"],
  ])("%s", (_, entry, line) => {
    expect(faultsOfRunner(entry)).toEqual([line]);
  });

  test("a name that Pulumi, Vault and host names do not share", () => {
    expect(faultsOfRunner({}, "Build_1")).toEqual([
      "runners.Build_1: the name must be lower-case letters, digits and dashes, at most 40, starting with a letter",
    ]);
  });

  test("a name that is longer than GitHub takes", () => {
    const host = "h".repeat(40);
    const long = "r".repeat(30);
    expect(faultsOf({ hosts: { [host]: hetzner }, runners: { [long]: runner } })).toEqual([
      `runners.${long}: its runner "${`${host}-${long}`.slice(0, 56)}… has a name of more than 64 characters; shorten the host's or the runner's`,
    ]);
  });

  test("one name made by two hosts", () => {
    expect(
      faultsOf({ hosts: { a: hetzner, "a-b": hetzner }, runners: { "b-c": runner, c: runner } }),
    ).toEqual([
      'runners.c: its runner "a-b-c" on host a-b is also made by runners.b-c on host a; rename one of them',
    ]);
  });

  test("a pool that can never have a VM less than it must have", () => {
    const jobs = { ...runner, on: ["microvm"], isolation: "microvm", min: 5, max: 2 };
    expect(faultsOf({ hosts: { metal: existing }, runners: { jobs } })).toEqual([
      "runners.jobs.min: 5 is more than max, 2",
    ]);
  });

  test("ephemeral GitHub runners are fine with a minter, in a pool of VMs, or on another forge", () => {
    const minter = { ...hetzner, tags: ["minter"] };
    const ephemeral = { ...runner, ephemeral: true };
    expect(faultsOf({ hosts: { builder: hetzner, minter }, runners: { build: ephemeral } })).toEqual([]);
    expect(faultsOf({ runners: { build: { ...ephemeral, forge: "code", scope: { user: "ann" } } } })).toEqual(
      [],
    );
    const jobs = { ...runner, on: ["microvm"], isolation: "microvm" };
    expect(faultsOf({ hosts: { metal: existing }, runners: { jobs } })).toEqual([]);
  });

  test("a group scaled to 0 keeps its runners' entries", () => {
    expect(faultsOf({ hosts: { builder: { ...hetzner, count: 0 } } })).toEqual([]);
  });
});

describe("no fault tells a secret", () => {
  const secret = "hvs-very-secret";
  test.each([
    [
      "a credential of no known form",
      { credentials: { ...smallFleet.credentials, github: { pat: secret } } },
    ],
    ["a bare credential", { credentials: { ...smallFleet.credentials, github: secret } }],
    ["all credentials as one text", { credentials: secret }],
    [
      "an App's key that is none",
      {
        credentials: {
          ...smallFleet.credentials,
          github: { appId: 1, installationId: 2, privateKey: secret },
        },
      },
    ],
    ["an SSH key that is none", { credentials: { ...smallFleet.credentials, ssh: { privateKey: secret } } }],
    ["a credential for no forge", { credentials: { ...smallFleet.credentials, gitlab: { token: secret } } }],
    ["a login of no known form", { vault: { ...smallFleet.vault, auth: { tokn: secret } } }],
    ["a bare login", { vault: { ...smallFleet.vault, auth: secret } }],
    ["a login in a list", { vault: { ...smallFleet.vault, auth: { token: [secret] } } }],
    [
      "a login with half of it missing",
      { vault: { ...smallFleet.vault, auth: { approle: { secretId: secret } } } },
    ],
    ["a login beside the place for it", { vault: { ...smallFleet.vault, token: secret } }],
    ["a login in place of Vault", { vault: secret }],
    [
      "a private key in place of the public one",
      { operators: { ann: `-----BEGIN PRIVATE KEY-----\n${secret}` } },
    ],
  ])("%s", (_, values) => {
    const lines = faultsOf(values);
    expect(lines).not.toEqual([]);
    expect(lines.join("\n")).not.toContain(secret);
  });
});

test("a found value is cut to what a line can hold", () => {
  const [line] = faultsOf({ hosts: { metal: { ...existing, address: `${"x".repeat(300)}!` } }, runners: {} });
  expect(line).toMatch(/^hosts\.metal\.address: "x{56}… is neither an IP address nor a host name$/);
});

test("a key's comment is no fault, and no part of the key", () => {
  const { fleet } = parse({
    hosts: { metal: { ...existing, hostKey: `${publicKey} root@metal` } },
    runners: {},
  });
  expect(fleet.hosts[0]).toMatchObject({ hostKey: publicKey });
});
