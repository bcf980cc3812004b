import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startHetzner } from "../../../rehearsal/clouds/hetzner.ts";
import { hcloudPlugin } from "../../../rehearsal/plugins/hcloud.ts";
import { type Cloud, otherKey, publicKey, startCloud } from "../clouds/fixture.ts";
import { type Driver, drive } from "./fixture.ts";

const builder = { name: "builder-1", serverType: "ccx23", image: "debian-12", location: "nbg1" };

describe("the stand-in for hcloud", () => {
  let cloud: Cloud;
  let [server, sshKey, firewall]: Driver[] = [];
  const part = (driver: Driver | undefined): Driver => {
    if (driver === undefined) throw new Error("not started");
    return driver;
  };
  beforeEach(async () => {
    cloud = await startCloud(startHetzner, "hetzner.json", "hetzner-token");
    const plugin = hcloudPlugin({ endpoint: "http://127.0.0.1:9" });
    await plugin.configure({
      token: cloud.world.secret("hetzner-token"),
      endpoint: cloud.url,
      pollInterval: "1ms",
    });
    [server, sshKey, firewall] = ["server:Server", "sshKey:SshKey", "firewall:Firewall"].map((type) =>
      drive(plugin, `hcloud:index/${type}`),
    );
  });
  afterEach(() => cloud.close());

  it("makes a server that runs, with the outputs of the official plugin", async () => {
    const key = await part(sshKey).create({ name: "operator", publicKey });
    const state = await part(server).create({ ...builder, sshKeys: [key.id], userData: "#cloud-config" });
    expect(state.outputs).toMatchObject({
      ...builder,
      status: "running",
      ipv4Address: "203.0.113.1",
      ipv6Address: "2001:db8:1:1::1",
      ipv6Network: "2001:db8:1:1::/64",
      primaryDiskSize: 160,
      backups: false,
      keepDisk: false,
      firewallIds: [],
      userData: "9sPmzwZu7u8+strUGnJb//9LpaU=",
    });
    expect(cloud.rack.booted[0]).toMatchObject({ sshKeys: [publicKey], userData: "#cloud-config" });
    expect(part(server).changes(state, { ...builder, sshKeys: [key.id], userData: "#cloud-config" })).toEqual(
      [],
    );
  });

  it("changes type, name, labels and firewalls in place", async () => {
    const rules = [{ direction: "in", protocol: "icmp", sourceIps: ["0.0.0.0/0"] }];
    const ping = await part(firewall).create({ name: "ping", rules });
    const state = await part(server).create(builder);
    const news = {
      ...builder,
      name: "builder-9",
      serverType: "ccx33",
      labels: { fleet: "ci" },
      firewallIds: [Number(ping.id)],
      deleteProtection: true,
    };
    const grown = await part(server).update(state, news);
    expect(grown.outputs).toMatchObject({ ...news, status: "running", primaryDiskSize: 240 });
    expect(cloud.rack.powered).toEqual([`${state.id} off`, `${state.id} on`]);
    const freed = await part(server).update(grown, { ...news, firewallIds: [], deleteProtection: false });
    expect(freed.outputs).toMatchObject({ firewallIds: [], deleteProtection: false });
  });

  it("sees what was changed by hand, and what is gone", async () => {
    const state = await part(server).create({ ...builder, labels: { fleet: "ci" } });
    await cloud.ask("PUT", `/servers/${state.id}`, { labels: { fleet: "other" } });
    const refreshed = await part(server).refresh(state);
    expect(refreshed && part(server).changes(refreshed, { ...builder, labels: { fleet: "ci" } })).toEqual([
      "labels",
    ]);
    await part(server).delete(state);
    expect(await part(server).refresh(state)).toBeUndefined();
    await expect(part(server).delete(state)).resolves.toBeUndefined();
    await expect(part(server).update(state, { ...builder, name: "x" })).rejects.toThrow(/404/);
  });

  it("keeps a server that did not boot, so that the next up finishes it or removes it", async () => {
    cloud.rack.refuse = "builder-1";
    await expect(part(server).create(builder)).rejects.toMatchObject({
      name: "PartialFailure",
      id: expect.stringMatching(/^\d+$/) as string,
      message: "create_server at Hetzner Cloud failed: no such image on the disk (action_failed)",
    });
  });

  it("tries again when told to wait, and names the reason when refused", async () => {
    cloud.inject({ hetzner: { kind: "429", times: 1 } });
    await part(server).create(builder);
    cloud.inject({ hetzner: { kind: "resource_unavailable", times: 1 } });
    await expect(part(server).create({ ...builder, name: "b" })).rejects.toThrow(
      "Hetzner Cloud: POST /servers: 412 server location or type is out of stock (resource_unavailable)",
    );
    await expect(part(server).create({ ...builder, sshKeys: ["nobody"] })).rejects.toThrow(
      "SSH key not found: nobody",
    );
  });

  it("keeps SSH keys", async () => {
    const state = await part(sshKey).create({ name: "operator", publicKey });
    expect(state.outputs).toMatchObject({
      name: "operator",
      publicKey,
      fingerprint: expect.any(String) as string,
    });
    const named = await part(sshKey).update(state, { name: "renamed", publicKey, labels: { a: "b" } });
    expect(named.outputs).toMatchObject({ name: "renamed", labels: { a: "b" } });
    await expect(part(sshKey).create({ name: "renamed", publicKey: otherKey })).rejects.toThrow(
      "uniqueness_error",
    );
    await part(sshKey).delete(named);
    await part(sshKey).delete(named);
    expect(await part(sshKey).refresh(named)).toBeUndefined();
  });

  it("keeps firewalls, and detaches one before it removes it", async () => {
    const guarded = await part(server).create({ ...builder, labels: { fleet: "ci" } });
    const wanted = {
      name: "ssh",
      rules: [{ direction: "in", protocol: "tcp", port: "22", sourceIps: ["198.51.100.0/24"] }],
      applyTos: [{ labelSelector: "fleet=ci" }],
    };
    const state = await part(firewall).create(wanted);
    expect(state.outputs).toMatchObject(wanted);
    const refreshed = await part(firewall).refresh(state);
    expect(refreshed && part(firewall).changes(refreshed, wanted)).toEqual([]);
    const news = { ...wanted, name: "all", rules: [], applyTos: [{ server: Number(guarded.id) }] };
    const changed = await part(firewall).update(state, news);
    expect(changed.outputs).toMatchObject(news);
    await part(firewall).delete(changed);
    await part(firewall).delete(changed);
    expect(await part(firewall).refresh(changed)).toBeUndefined();
  });

  it("says what is missing from its configuration", async () => {
    const plugin = hcloudPlugin({ endpoint: cloud.url });
    await expect(drive(plugin, "hcloud:index/server:Server").create(builder)).rejects.toThrow(
      "hcloud has no token; set hcloud:token or HCLOUD_TOKEN",
    );
    const nowhere = hcloudPlugin({ endpoint: "http://127.0.0.1:9", token: "t".repeat(64) });
    const short = hcloudPlugin({ endpoint: cloud.url, token: "t" });
    await expect(drive(short, "hcloud:index/server:Server").create(builder)).rejects.toThrow(
      "must be exactly 64 characters long",
    );
    await expect(drive(nowhere, "hcloud:index/server:Server").create(builder)).rejects.toThrow(
      /^Hetzner Cloud does not answer at http:\/\/127\.0\.0\.1:9/,
    );
  });
});
