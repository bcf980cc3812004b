/**
 * The life of the production stack, in order: from nothing to a converged fleet, changed, scaled, replaced, removed.
 * Each test goes on from the world that the one before it left.
 */
import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Operation, OperationResult } from "../../rehearsal/engine.ts";
import type { OperationOptions, RecordedCall, Rehearsal } from "../../rehearsal/rehearsal.ts";
import { hostRows, runnerRows } from "../../rehearsal/summary.ts";
import { callsDuring, changes, scratch, succeeded, touchedHosts } from "./fixture.ts";
import { findSecrets, runnerSecrets, secretsOf } from "./secrets.ts";
import { dump, resourcesOf } from "./state.ts";

const space = scratch();
let prod: Rehearsal;
/** The checkout that the rehearsal runs; tests edit it. */
let checkout: string;

const everyHost = [
  "arm",
  "builder-1",
  "builder-2",
  "builder-3",
  "droplet-1",
  "droplet-2",
  "metal",
  "nix-cache02",
];

beforeAll(async () => {
  checkout = space.clone("checkout");
  prod = await space.open({ repo: checkout });
});
afterAll(async () => {
  await prod?.close();
  space.remove();
});

/** All that the engine printed. */
const printed: string[] = [];

async function run(operation: Operation, options: OperationOptions = {}): Promise<OperationResult> {
  const result = await prod.run(operation, options);
  printed.push(result.output, ...result.errors);
  return result;
}
const preview = (...set: string[]) => run("preview", { set });
const up = async (...set: string[]) => succeeded(await run("up", { set, skipPreview: true }));

/** Position of the first call that matches, for the order of things. */
function position(calls: readonly RecordedCall[], part: RegExp, call: RegExp, detail = /./s): number {
  const index = calls.findIndex(
    (each) => part.test(each.part) && call.test(each.call) && detail.test(`${each.detail ?? ""} `),
  );
  if (index < 0)
    throw new Error(
      `no call ${part} ${call} in:\n${calls.map((each) => `${each.part} ${each.call} ${each.detail ?? ""}`).join("\n")}`,
    );
  return index;
}

const wipesByHost = () => Object.fromEntries(prod.parts.hosts.list().map(({ name, wipes }) => [name, wipes]));

describe("from nothing", () => {
  test("one up converges every host and brings every runner online", async () => {
    const calls = await callsDuring(prod, () => up());
    const state = await prod.engine.exportState();
    const fleet = (await preview()).fleet;
    expect(
      hostRows(state, fleet)
        .map(({ host, state: each }) => `${host} ${each}`)
        .toSorted(),
    ).toEqual(everyHost.map((host) => `${host} converged`));
    expect(runnerRows(state, prod.parts.forges).filter(({ online }) => online !== "yes")).toEqual([]);

    // Eight hosts of five kinds: one evaluation and one build of each kind, in all.
    const evaluated = calls.filter(({ call }) => call === "evaluate").map(({ detail }) => detail);
    expect(evaluated.toSorted()).toEqual(fleet?.kinds.map(({ name }) => name).toSorted());
    // One colmena process a wave.
    expect(
      calls.filter(({ part, call }) => part === "colmena" && call.startsWith("apply")).length,
    ).toBeLessThanOrEqual(4);
  });

  test("every machine was wiped once, the adopted one never", () => {
    expect(wipesByHost()).toEqual(
      Object.fromEntries(everyHost.map((host) => [host, host === "nix-cache02" ? 0 : 1])),
    );
  });

  test("what the program makes is what the golden dump says", async () => {
    const golden = join(import.meta.dirname, "golden", "prod.json");
    const made = dump(await prod.engine.exportState());
    if (process.env.UPDATE_GOLDEN === "1") writeFileSync(golden, `${JSON.stringify(made, undefined, 1)}\n`);
    expect(made).toEqual(JSON.parse(readFileSync(golden, "utf8")));
  });

  test("a host with two runners is eight resources", async () => {
    const resources = resourcesOf(await prod.engine.exportState());
    const host = resources.find(({ urn }) => urn.endsWith("::builder-2"));
    const children = resources.filter(({ parent }) => parent === host?.urn);
    expect(1 + children.length).toBe(8);
  });

  test("stack outputs name hosts, kinds and runners, and no secret", async () => {
    const outputs = await prod.engine.outputs();
    expect(Object.values(outputs).some(({ secret }) => secret)).toBe(false);
    expect(outputs.hosts?.value).toMatchObject({
      "builder-1": {
        provider: "hetzner",
        address: expect.stringMatching(/^203\.0\.113\./),
        tags: ["large", "prod", "runners"],
      },
      "nix-cache02": { provider: "existing", address: "198.51.100.9" },
    });
    expect(outputs.runners?.value).toMatchObject({
      "builder-1-docker-build-1": { forge: "github", host: "builder-1", labels: ["docker-build"] },
    });
  });
});

describe("unchanged", () => {
  test("a second up changes nothing and starts no nix, no ssh and no write to a forge", async () => {
    let result: OperationResult | undefined;
    const calls = await callsDuring(prod, async () => {
      result = await up();
    });
    expect(result?.steps).toEqual([]);
    expect(calls.filter(({ part }) => /^(nix|nixos-anywhere|colmena|ssh)/.test(part))).toEqual([]);
    expect(calls.filter(({ part, call }) => prod.parts.forges.has(part) && !call.startsWith("GET"))).toEqual(
      [],
    );
  });

  test("a preview from a clone at another path shows no difference", async () => {
    await prod.close();
    prod = await space.open({ repo: space.clone("elsewhere") });
    expect((await preview()).steps).toEqual([]);
    await prod.close();
    prod = await space.open({ repo: checkout });
  });
});

describe("the preview names exactly the hosts that a change is about", () => {
  test("a profile: the hosts with its tag", async () => {
    const file = join(checkout, "nix", "profiles", "large.nix");
    const before = readFileSync(file, "utf8");
    appendFileSync(file, "# another thought\n");
    const result = succeeded(await preview());
    expect(changes(result)).toEqual(
      ["builder-1", "builder-2", "builder-3"].map((host) => `update ${host}-converge`),
    );
    writeFileSync(file, before);
  });

  test("a runner's labels: its hosts", async () => {
    const result = succeeded(await preview('runners.native-nix.labels=["native-nix","x86_64"]'));
    expect(touchedHosts(result, everyHost)).toEqual(["nix-cache02"]);
    expect(changes(result)).toEqual(["update nix-cache02-converge", "update nix-cache02-native-nix"]);
  });

  test("a text of ours in install or registration: nothing is installed or registered again", async () => {
    const file = join(checkout, "nix", "profiles", "base.nix");
    const before = readFileSync(file, "utf8");
    appendFileSync(file, "# another thought\n");
    const result = succeeded(await preview());
    expect(changes(result)).toEqual(everyHost.map((host) => `update ${host}-converge`));
    writeFileSync(file, before);
  });
});

describe("credentials", () => {
  test("an operator's new key converges every host and builds nothing", async () => {
    const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJooCNYruWeYcM4ix/dwfcItocqdu7wrwCRfDZLu8ypR new@laptop";
    const wipes = wipesByHost();
    let result: OperationResult | undefined;
    const calls = await callsDuring(prod, async () => {
      result = await up(`operators.new=${key}`);
    });
    const updated = changes(result as OperationResult).filter((change) => change.startsWith("update"));
    expect(updated).toEqual(everyHost.map((host) => `update ${host}-converge`));
    expect(calls.filter(({ call }) => call === "build")).toEqual([]);
    expect(wipesByHost()).toEqual(wipes);
    await up();
  });

  test("a forge's rotated credential changes one provider and nothing else", async () => {
    const { forges } = prod.parts.values;
    const github = forges.github;
    if (github === undefined) throw new Error("the stack has no forge github");
    const rotated = { ...github, credential: { token: prod.world.secret("forge-github-token") } };
    const result = succeeded(await run("up", { values: { forges: { ...forges, github: rotated } } }));
    expect(result.steps.map(({ op, type }) => `${op} ${type}`)).toEqual(["update pulumi:providers:flotilla"]);
    await up();
  });
});

describe("drift", () => {
  test("refresh shows the host that someone changed, and the runner that someone deleted; up mends both", async () => {
    const changed = prod.parts.hosts.list().find(({ name }) => name === "droplet-2");
    const identity = join(changed?.root ?? "", "etc", "flotilla", "identity.json");
    const text = readFileSync(identity, "utf8");
    rmSync(identity);
    writeFileSync(identity, text.replace('"version":1', '"version":1,"note":"by hand"'));

    const code = prod.parts.forges.get("code");
    const runner = code?.runners().find(({ name }) => name === "nix-cache02-native-nix");
    const deleted = await fetch(`${code?.url}/api/v1/user/actions/runners/${runner?.id}`, {
      method: "DELETE",
      headers: { authorization: `token ${prod.world.secret("forge-code-token")}` },
    });
    expect(deleted.status).toBe(204);

    const refreshed = succeeded(await run("refresh"));
    expect(changes(refreshed)).toEqual(["delete nix-cache02-native-nix", "update droplet-2-converge"]);
    const mended = await up();
    expect(changes(mended)).toEqual([
      "create nix-cache02-native-nix",
      "update droplet-2-converge",
      "update nix-cache02-converge",
    ]);
    expect(succeeded(await preview()).steps).toEqual([]);
  });
});

describe("scaling", () => {
  test("3 → 5 creates two hosts and touches no other", async () => {
    const before = wipesByHost();
    const result = await up("hosts.builder.count=5");
    expect(touchedHosts(result, [...everyHost, "builder-4", "builder-5"])).toEqual([
      "builder-4",
      "builder-5",
    ]);
    expect(
      new Set(result.steps.filter(({ type }) => type !== "flotilla:index:Gate").map(({ op }) => op)),
    ).toEqual(new Set(["create"]));
    expect(wipesByHost()).toEqual({ ...before, "builder-4": 1, "builder-5": 1 });
  });

  test("5 → 2 without release fails in the preview, names the hosts and does nothing", async () => {
    let result: OperationResult | undefined;
    const calls = await callsDuring(prod, async () => {
      result = await run("up", { set: ["hosts.builder.count=2"] });
    });
    expect(result?.ok).toBe(false);
    for (const host of ["builder-3", "builder-4", "builder-5"])
      expect(result?.errors.join("\n")).toContain(host);
    expect(calls.filter(({ call }) => /^(DELETE|POST|PUT)/.test(call))).toEqual([]);
    expect(prod.parts.hosts.list().length).toBe(10);
  });

  test("5 → 2 after release drains, unregisters, revokes, and lets the machines go, in that order", async () => {
    await up("hosts.builder.count=5", "release=[builder-3, builder-4, builder-5]");
    let result: OperationResult | undefined;
    const calls = await callsDuring(prod, async () => {
      result = await up("hosts.builder.count=2");
    });
    const gone = ["builder-3", "builder-4", "builder-5"];
    expect(touchedHosts(result as OperationResult, [...everyHost, "builder-4", "builder-5"])).toEqual(gone);
    const vault = readVaultCalls(prod);
    for (const host of gone) {
      const drained = position(calls, new RegExp(`^ssh ${host}$`), /flotilla-drain/);
      const removed = position(calls, /^hetzner$/, /^DELETE \/servers/, new RegExp(`${host}|.`));
      expect(drained).toBeLessThan(removed);
      expect(
        prod.parts.forges
          .get("github")
          ?.runners()
          .filter(({ name }) => name.startsWith(`${host}-`)),
      ).toEqual([]);
      expect(vault.deleted(`metadata/hosts/${host}/`)).toBeLessThan(vault.deleted(`role/${host}`));
    }
    expect(
      prod.parts.hosts
        .list()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(everyHost.filter((host) => host !== "builder-3"));
  });
});

describe("resizing", () => {
  test("a new type drains the machine before the cloud powers it off, and installs nothing", async () => {
    const wipes = wipesByHost();
    let result: OperationResult | undefined;
    const calls = await callsDuring(prod, async () => {
      result = await up("hosts.builder.count=2", "hosts.arm.type=cax31");
    });
    expect(changes(result as OperationResult)).toEqual(["update arm-server"]);
    expect(position(calls, /^ssh arm$/, /flotilla-drain/)).toBeLessThan(
      position(calls, /^hetzner$/, /^POST .*(poweroff|shutdown|change_type)/),
    );
    expect(wipesByHost()).toEqual(wipes);
    await up("hosts.builder.count=2");
  });
});

describe("replacing", () => {
  test("a new generation drains, deletes, creates, installs and converges one machine, and no neighbour", async () => {
    const count = "hosts.builder.count=2";
    await up(count, "release=[arm]");
    const wipes = wipesByHost();
    let result: OperationResult | undefined;
    const calls = await callsDuring(prod, async () => {
      result = await up(count, "release=[arm]", "hosts.arm.generation=2");
    });
    expect(touchedHosts(result as OperationResult, everyHost)).toEqual(["arm"]);
    const order = [
      position(calls, /^ssh arm$/, /flotilla-drain/),
      position(calls, /^hetzner$/, /^DELETE \/servers/),
      position(calls, /^hetzner$/, /^POST \/servers$/),
      position(calls, /^nixos-anywhere$/, /./),
      position(calls, /^colmena$/, /./),
    ];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    // The machine is a new one, so it was wiped once; all others are as they were.
    expect(wipesByHost()).toEqual(wipes);
    await up(count, "hosts.arm.generation=2");
  });
});

/** Where the tests above have left the configuration. */
const later = ["hosts.builder.count=2", "hosts.arm.generation=2", 'hosts.metal.installId="2026-12"'];

describe("installing again", () => {
  test("a new installId drains the machine, wipes it once more, and touches no other", async () => {
    const now = ["hosts.builder.count=2", "hosts.arm.generation=2"];
    await up(...now, "release=[metal]");
    const wipes = wipesByHost();
    let result: OperationResult | undefined;
    const calls = await callsDuring(prod, async () => {
      result = await up(...later, "release=[metal]");
    });
    expect(touchedHosts(result as OperationResult, everyHost)).toEqual(["metal"]);
    const order = [
      position(calls, /^ssh metal$/, /flotilla-drain/),
      position(calls, /^github$/, /^DELETE .*runners/),
      position(calls, /^nixos-anywhere$/, /./),
      position(calls, /^github$/, /^POST .*registration-token/),
      position(calls, /^colmena$/, /./),
    ];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(wipesByHost()).toEqual({ ...wipes, metal: 2 });
  });
});

describe("secrets", () => {
  test("nothing that the rehearsal leaves or prints holds one in clear", async () => {
    const secrets = await secretsOf(prod, await prod.engine.exportState({ showSecrets: true }));
    // Tokens, keys, secret-ids and the seed: a hunt without prey proves nothing.
    expect(secrets.length).toBeGreaterThan(40);
    for (const kind of [/seed/, /secret-id/, /token/, /privateKey/, /docker-build/, /ssh_host/])
      expect(secrets.some(({ name }) => kind.test(name))).toBe(true);

    expect(findSecrets(prod.world.dir, secrets, belongsToTheWorld)).toEqual([]);
    const output = printed.join("\n");
    expect(secrets.filter(({ value }) => output.includes(value)).map(({ name }) => name)).toEqual([]);
  });

  test("a runner's credential is not in the state, not even encrypted", async () => {
    const decrypted = JSON.stringify(await prod.engine.exportState({ showSecrets: true }));
    const credentials = await runnerSecrets(prod);
    expect(credentials.length).toBeGreaterThan(5);
    expect(credentials.filter(({ value }) => decrypted.includes(value)).map(({ name }) => name)).toEqual([]);
  });
});

/**
 * Where secrets are at home: the storage of the simulated servers and of Vault, what the operator of the world keeps,
 * and a host's own files that root alone may read.
 */
function belongsToTheWorld(path: string, mode: number): boolean {
  if (/^(secrets|forge-|hetzner|digitalocean)[^/]*\.json$/.test(path)) return true;
  if (/^(secrets|vault\/(storage|secrets))\//.test(path)) return true;
  if (/^hosts\/[^/]+\/root\/etc\/ssh\/ssh_host_ed25519_key$/.test(path)) return mode === 0o600;
  return path.startsWith("hosts/") && mode === 0o400;
}

describe("the end", () => {
  test("destroy without consent fails and removes nothing", async () => {
    const result = await run("destroy");
    expect(result.ok).toBe(false);
    expect(prod.parts.hosts.list().length).toBe(7);
  });

  test("destroy after consent leaves the world empty", async () => {
    await up(...later, 'release=["*"]');
    succeeded(await run("destroy"));
    expect(
      prod.parts.hosts
        .list()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(["metal", "nix-cache02"]);
    for (const forge of prod.parts.forges.values()) expect(forge.runners()).toEqual([]);
    expect(await leftInClouds(prod)).toEqual([]);
    expect(await leftInVault(prod)).toEqual([]);
    expect(resourcesOf(await prod.engine.exportState())).toEqual([]);
  });
});

async function leftInClouds(rehearsal: Rehearsal): Promise<string[]> {
  const { hetzner, digitalocean } = rehearsal.parts.clouds;
  const { cloudTokens } = rehearsal.parts.values;
  const list = async (base: string, path: string, token: string): Promise<string[]> => {
    const answer = await fetch(`${base}${path}`, { headers: { authorization: `Bearer ${token}` } });
    const body = (await answer.json()) as Record<string, unknown>;
    return Object.entries(body).flatMap(([key, value]) => (Array.isArray(value) ? value.map(() => key) : []));
  };
  const found = await Promise.all([
    ...["/servers", "/ssh_keys", "/firewalls"].map((path) => list(hetzner, path, cloudTokens.hetzner)),
    ...["/v2/droplets", "/v2/account/keys", "/v2/firewalls", "/v2/tags"].map((path) =>
      list(digitalocean, path, cloudTokens.digitalocean),
    ),
  ]);
  return found.flat();
}

async function leftInVault(rehearsal: Rehearsal): Promise<string[]> {
  const { address, token } = rehearsal.parts.vault;
  const keys = async (path: string): Promise<string[]> => {
    const answer = await fetch(`${address}/v1/${path}?list=true`, { headers: { "x-vault-token": token } });
    const body = (await answer.json()) as { data?: { keys?: string[] } };
    return body.data?.keys ?? [];
  };
  const mounts = await fetch(`${address}/v1/sys/auth`, { headers: { "x-vault-token": token } });
  const auth = Object.keys(((await mounts.json()) as { data: object }).data).filter(
    (path) => path !== "token/",
  );
  const policies = (await keys("sys/policies/acl")).filter((name) => name.startsWith("flotilla"));
  return [...(await keys("secret/metadata/hosts")), ...policies, ...auth];
}

/** Vault's own audit log; positions are lines. */
function readVaultCalls(rehearsal: Rehearsal): { deleted(path: string): number } {
  const directory = join(rehearsal.world.dir, "vault");
  const file = readdirSync(directory).find((name) => name.startsWith("audit"));
  const lines = readFileSync(join(directory, file ?? "audit.log"), "utf8").split("\n");
  return {
    deleted: (path) => {
      const index = lines.findIndex((line) => line.includes('"operation":"delete"') && line.includes(path));
      if (index < 0) throw new Error(`Vault was not asked to delete ${path}`);
      return index;
    },
  };
}
