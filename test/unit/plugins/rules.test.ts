/** What the official plugins do with a changed input, held as a table: read with the operator's eyes. */
import { describe, expect, it } from "vitest";
import type { Change, Properties, ProviderDefinition, ResourceType } from "../../../provider/protocol.ts";
import { UNKNOWN } from "../../../provider/protocol.ts";
import { digitaloceanPlugin } from "../../../rehearsal/plugins/digitalocean.ts";
import { hcloudPlugin } from "../../../rehearsal/plugins/hcloud.ts";
import { vaultPlugin } from "../../../rehearsal/plugins/vault.ts";
import { contextOf } from "./fixture.ts";

const nowhere = "http://127.0.0.1:9";
const plugins: readonly ProviderDefinition[] = [
  hcloudPlugin({ endpoint: nowhere }),
  digitaloceanPlugin({ apiEndpoint: nowhere }),
  vaultPlugin(),
];

function typeOf(token: string): ResourceType {
  const type = plugins.flatMap(({ resources }) => resources[token] ?? [])[0];
  if (type === undefined) throw new Error(`no ${token}`);
  return type;
}

const base: Record<string, Properties> = {
  "hcloud:index/server:Server": {
    name: "builder-1",
    serverType: "ccx23",
    image: "debian-12",
    location: "nbg1",
    sshKeys: ["a", "b"],
    userData: "#cloud-config",
    labels: { fleet: "ci" },
    firewallIds: [1, 2],
  },
  "hcloud:index/sshKey:SshKey": { name: "operator", publicKey: "ssh-ed25519 AAAA" },
  "hcloud:index/firewall:Firewall": {
    name: "ssh",
    rules: [{ direction: "in", protocol: "tcp", port: "22", sourceIps: ["10.0.0.0/8", "192.0.2.0/24"] }],
  },
  "digitalocean:index/droplet:Droplet": {
    name: "droplet-1",
    size: "s-2vcpu-4gb",
    image: "debian-12-x64",
    region: "fra1",
    sshKeys: ["1", "2"],
    userData: "#cloud-config",
    tags: ["prod", "large"],
  },
  "digitalocean:index/sshKey:SshKey": { name: "operator", publicKey: "ssh-ed25519 AAAA" },
  "digitalocean:index/firewall:Firewall": { name: "ssh", tags: ["prod"] },
  "digitalocean:index/tag:Tag": { name: "prod" },
  "vault:index/mount:Mount": { path: "secret", type: "kv-v2" },
  "vault:index/authBackend:AuthBackend": { type: "approle", path: "approle" },
  "vault:index/policy:Policy": { name: "ci-builder-1", policy: "" },
  "vault:appRole/authBackendRole:AuthBackendRole": {
    backend: "approle",
    roleName: "builder-1",
    tokenPolicies: ["a", "b"],
  },
};

const rows: readonly (readonly [token: string, change: Properties, effect: string])[] = [
  ["hcloud:index/server:Server", { image: "debian-13" }, "replace, delete first"],
  ["hcloud:index/server:Server", { location: "fsn1" }, "replace, delete first"],
  ["hcloud:index/server:Server", { sshKeys: ["a"] }, "replace, delete first"],
  ["hcloud:index/server:Server", { sshKeys: ["b", "a"] }, "replace, delete first"],
  ["hcloud:index/server:Server", { sshKeys: UNKNOWN }, "replace, delete first"],
  ["hcloud:index/server:Server", { userData: "#!/bin/sh" }, "replace, delete first"],
  ["hcloud:index/server:Server", { serverType: "ccx33" }, "update"],
  ["hcloud:index/server:Server", { name: "builder-2" }, "update"],
  ["hcloud:index/server:Server", { labels: {} }, "update"],
  ["hcloud:index/server:Server", { firewallIds: [2, 1] }, "nothing"],
  ["hcloud:index/server:Server", { firewallIds: [2] }, "update"],
  ["hcloud:index/sshKey:SshKey", { publicKey: "ssh-ed25519 BBBB" }, "replace"],
  ["hcloud:index/sshKey:SshKey", { name: "other" }, "update"],
  ["hcloud:index/firewall:Firewall", { name: "other" }, "update"],
  ["hcloud:index/firewall:Firewall", { rules: [] }, "update"],
  [
    "hcloud:index/firewall:Firewall",
    { rules: [{ protocol: "tcp", direction: "in", port: "22", sourceIps: ["192.0.2.0/24", "10.0.0.0/8"] }] },
    "nothing",
  ],
  ["digitalocean:index/droplet:Droplet", { image: "debian-13-x64" }, "replace, delete first"],
  ["digitalocean:index/droplet:Droplet", { region: "ams3" }, "replace, delete first"],
  ["digitalocean:index/droplet:Droplet", { sshKeys: ["1"] }, "replace, delete first"],
  ["digitalocean:index/droplet:Droplet", { sshKeys: ["2", "1"] }, "nothing"],
  ["digitalocean:index/droplet:Droplet", { userData: "#!/bin/sh" }, "replace, delete first"],
  ["digitalocean:index/droplet:Droplet", { monitoring: true }, "replace, delete first"],
  ["digitalocean:index/droplet:Droplet", { size: "s-4vcpu-8gb" }, "update"],
  ["digitalocean:index/droplet:Droplet", { name: "droplet-2" }, "update"],
  ["digitalocean:index/droplet:Droplet", { tags: ["large", "prod"] }, "nothing"],
  ["digitalocean:index/droplet:Droplet", { tags: ["prod"] }, "update"],
  ["digitalocean:index/droplet:Droplet", { ipv6: true }, "update"],
  ["digitalocean:index/sshKey:SshKey", { publicKey: "ssh-ed25519 BBBB" }, "replace, delete first"],
  ["digitalocean:index/sshKey:SshKey", { publicKey: "ssh-ed25519 AAAA\n" }, "nothing"],
  ["digitalocean:index/firewall:Firewall", { name: "other" }, "update"],
  ["digitalocean:index/tag:Tag", { name: "other" }, "replace, delete first"],
  ["vault:index/mount:Mount", { type: "kv" }, "replace"],
  ["vault:index/mount:Mount", { path: "kv" }, "update"],
  ["vault:index/mount:Mount", { description: "runners" }, "update"],
  ["vault:index/authBackend:AuthBackend", { type: "userpass" }, "replace"],
  ["vault:index/authBackend:AuthBackend", { path: "fleet" }, "update"],
  ["vault:index/authBackend:AuthBackend", { path: "fleet", disableRemount: true }, "replace"],
  ["vault:index/policy:Policy", { name: "other" }, "replace, delete first"],
  ["vault:index/policy:Policy", { policy: 'path "x" {}' }, "update"],
  ["vault:appRole/authBackendRole:AuthBackendRole", { roleName: "other" }, "replace"],
  ["vault:appRole/authBackendRole:AuthBackendRole", { backend: "fleet" }, "replace"],
  ["vault:appRole/authBackendRole:AuthBackendRole", { tokenPolicies: ["b", "a"] }, "nothing"],
  ["vault:appRole/authBackendRole:AuthBackendRole", { secretIdTtl: 60 }, "update"],
];

describe("a changed input", () => {
  it.each(rows)("of %s %j: %s", (token, change, effect) => {
    const type = typeOf(token);
    const check = (inputs: Properties) => type.check?.(inputs, contextOf(token)).inputs ?? inputs;
    const old = check(base[token] ?? {});
    const news = check({ ...base[token], ...change });
    expect(render(type.diff({ id: "1", inputs: old, outputs: old }, news))).toBe(effect);
  });

  it("of DigitalOcean's ipv6 from true to false replaces: the API cannot take an address away", () => {
    const type = typeOf("digitalocean:index/droplet:Droplet");
    expect(render(type.diff({ id: "1", inputs: { ipv6: true }, outputs: {} }, { ipv6: false }))).toBe(
      "replace, delete first",
    );
  });

  it("that the cloud fills in itself changes nothing when the program stops naming it", () => {
    const type = typeOf("hcloud:index/server:Server");
    expect(render(type.diff({ id: "1", inputs: { location: "nbg1" }, outputs: {} }, {}))).toBe("nothing");
  });
});

describe("a preview", () => {
  const server = typeOf("hcloud:index/server:Server");
  const inputs = { name: "builder-1", serverType: "ccx23", userData: "#cloud-config" };
  const outputs = { ...inputs, userData: "hash", ipv4Address: "203.0.113.1", status: "running" };

  it("of a create knows what the program wrote, and user data by its hash", () => {
    expect(server.preview?.(inputs)).toMatchObject({ ...inputs, userData: "9sPmzwZu7u8+strUGnJb//9LpaU=" });
  });

  it("of an update keeps what the cloud had given", () => {
    const known = server.preview?.({ ...inputs, serverType: "ccx33" }, { id: "1", inputs, outputs });
    expect(known).toMatchObject({ serverType: "ccx33", ipv4Address: "203.0.113.1", status: "running" });
  });
});

describe("check", () => {
  const check = (token: string, inputs: Properties) =>
    typeOf(token).check?.(inputs, contextOf(token, "builder"));

  it("keeps Terraform's defaults out of the inputs, and takes an input that says the same for no change", () => {
    const token = "vault:appRole/authBackendRole:AuthBackendRole";
    const inputs = { roleName: "builder-1" };
    expect(check(token, inputs)?.inputs).toEqual(inputs);
    const same = typeOf(token).diff({ id: "1", inputs, outputs: {} }, { ...inputs, backend: "approle" });
    expect(same).toMatchObject({ replace: [], update: [] });
  });

  it("makes a name from the logical one, the same each time", () => {
    const token = "hcloud:index/firewall:Firewall";
    const names = [1, 2].map(() => check(token, {})?.inputs.name);
    expect(names[0]).toMatch(/^builder-[0-9a-f]{7}$/);
    expect(names[0]).toBe(names[1]);
  });

  it("names what is missing, what does not exist and what is not simulated", () => {
    const { failures } = check("hcloud:index/server:Server", { networks: [], colour: "red" }) ?? {};
    expect(failures?.map(({ property }) => property)).toEqual(["serverType", "networks", "colour"]);
  });
});

function render({ replace = [], update = [], deleteBeforeReplace }: Change): string {
  if (replace.length > 0) return deleteBeforeReplace ? "replace, delete first" : "replace";
  return update.length > 0 ? "update" : "nothing";
}
