import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startDigitalOcean } from "../../../rehearsal/clouds/digitalocean.ts";
import { digitaloceanPlugin } from "../../../rehearsal/plugins/digitalocean.ts";
import { type Cloud, publicKey, startCloud } from "../clouds/fixture.ts";
import { type Driver, drive } from "./fixture.ts";

const wanted = {
  name: "droplet-1",
  size: "s-2vcpu-4gb",
  region: "fra1",
  image: "debian-12-x64",
  tags: ["prod"],
};

describe("the stand-in for DigitalOcean's plugin", () => {
  let cloud: Cloud;
  let drivers: Readonly<Record<string, Driver>> = {};
  const part = (name: string): Driver => {
    const driver = drivers[name];
    if (driver === undefined) throw new Error(`no ${name}`);
    return driver;
  };
  beforeEach(async () => {
    cloud = await startCloud(startDigitalOcean, "digitalocean.json", "digitalocean-token");
    const plugin = digitaloceanPlugin({ apiEndpoint: cloud.url });
    const token = cloud.world.secret("digitalocean-token");
    await plugin.configure({ token, apiEndpoint: "https://api.digitalocean.com" });
    drivers = Object.fromEntries(
      Object.keys(plugin.resources).map((type) => [type.split(":").at(-1), drive(plugin, type)]),
    );
  });
  afterEach(() => cloud.close());

  it("makes a droplet that is active, with the outputs of the official plugin", async () => {
    const key = await part("SshKey").create({ name: "operator", publicKey });
    const inputs = { ...wanted, sshKeys: [key.id], userData: "#cloud-config" };
    const state = await part("Droplet").create(inputs);
    expect(state.outputs).toMatchObject({
      ...wanted,
      status: "active",
      locked: false,
      ipv4Address: "203.0.113.128",
      ipv4AddressPrivate: "10.114.0.2",
      vcpus: 2,
      memory: 4096,
      disk: 80,
      dropletUrn: `do:droplet:${state.id}`,
      userData: "f6c3e6cf066eeeef3eb2dad41a725bffff4ba5a5",
    });
    expect(cloud.rack.booted[0]).toMatchObject({ sshKeys: [publicKey], userData: "#cloud-config" });
    const refreshed = await part("Droplet").refresh(state);
    expect(refreshed && part("Droplet").changes(refreshed, inputs)).toEqual([]);
  });

  it("changes size, name and tags in place", async () => {
    const state = await part("Droplet").create(wanted);
    const news = { ...wanted, name: "droplet-9", size: "s-4vcpu-8gb", tags: ["large"] };
    const grown = await part("Droplet").update(state, news);
    expect(grown.outputs).toMatchObject({ ...news, status: "active", disk: 160 });
    expect(cloud.rack.powered).toEqual([`${state.id} off`, `${state.id} on`]);
  });

  it("powers a droplet on again when its resize is refused", async () => {
    const state = await part("Droplet").create(wanted);
    await expect(part("Droplet").update(state, { ...wanted, size: "s-1vcpu-1gb" })).rejects.toThrow(
      "smaller disk",
    );
    expect((await part("Droplet").refresh(state))?.outputs).toMatchObject({ status: "active" });
  });

  it("sees what was changed by hand, and what is gone", async () => {
    const state = await part("Droplet").create(wanted);
    const resources = [{ resource_id: state.id, resource_type: "droplet" }];
    await cloud.ask("DELETE", "/v2/tags/prod/resources", { resources });
    const refreshed = await part("Droplet").refresh(state);
    expect(refreshed && part("Droplet").changes(refreshed, wanted)).toEqual(["tags"]);
    await part("Droplet").delete(state);
    await part("Droplet").delete(state);
    expect(await part("Droplet").refresh(state)).toBeUndefined();
  });

  it("tries again after a fault of the server, and names the reason when refused", async () => {
    cloud.inject({ digitalocean: { kind: "500", times: 2 } });
    await part("Droplet").create(wanted);
    cloud.inject({ digitalocean: { kind: "resource_unavailable", times: 1 } });
    await expect(part("Droplet").create(wanted)).rejects.toThrow(
      "DigitalOcean: POST /droplets: 422 Size is not available in this region.",
    );
  });

  it("keeps SSH keys and tags", async () => {
    const key = await part("SshKey").create({ name: "operator", publicKey });
    expect((await part("SshKey").update(key, { name: "renamed", publicKey })).outputs).toMatchObject({
      name: "renamed",
    });
    const tag = await part("Tag").create({ name: "prod" });
    await part("Droplet").create(wanted);
    expect((await part("Tag").refresh(tag))?.outputs).toMatchObject({
      dropletsCount: 1,
      totalResourceCount: 1,
    });
    for (const [name, state] of [
      ["SshKey", key],
      ["Tag", tag],
    ] as const) {
      await part(name).delete(state);
      await part(name).delete(state);
      expect(await part(name).refresh(state)).toBeUndefined();
    }
  });

  it("keeps firewalls in the words of the program: all ports, and none for ICMP", async () => {
    const guarded = await part("Droplet").create(wanted);
    const inputs = {
      name: "ssh",
      dropletIds: [Number(guarded.id)],
      inboundRules: [
        { protocol: "icmp", sourceAddresses: ["0.0.0.0/0"] },
        { protocol: "tcp", portRange: "22", sourceAddresses: ["198.51.100.0/24"], sourceTags: ["prod"] },
      ],
      outboundRules: [{ protocol: "tcp", portRange: "all", destinationAddresses: ["0.0.0.0/0", "::/0"] }],
    };
    const state = await part("Firewall").create(inputs);
    expect(state.outputs).toMatchObject(inputs);
    const refreshed = await part("Firewall").refresh(state);
    expect(refreshed && part("Firewall").changes(refreshed, inputs)).toEqual([]);
    const news = { ...inputs, dropletIds: [], tags: ["prod"] };
    expect((await part("Firewall").update(state, news)).outputs).toMatchObject({
      dropletIds: [],
      tags: ["prod"],
    });
    await part("Firewall").delete(state);
    await part("Firewall").delete(state);
    expect(await part("Firewall").refresh(state)).toBeUndefined();
  });
});
