import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startDigitalOcean } from "../../../rehearsal/clouds/digitalocean.ts";
import { type Cloud, eventually, otherKey, publicKey, startCloud } from "./fixture.ts";

interface Droplet {
  readonly id: number;
  readonly name: string;
  readonly status: string;
  readonly locked: boolean;
  readonly size_slug: string;
  readonly disk: number;
  readonly tags: readonly string[];
  readonly networks: { readonly v4: readonly { readonly ip_address: string; readonly type: string }[] };
}
interface Refusal {
  readonly id: string;
  readonly message: string;
}

const wanted = { name: "droplet-1", size: "s-2vcpu-4gb", region: "fra1", image: "debian-12-x64" };
const ssh = { protocol: "tcp", ports: "22", sources: { addresses: ["198.51.100.0/24"] } };

describe("the simulated DigitalOcean", () => {
  let cloud: Cloud;
  beforeEach(async () => {
    cloud = await startCloud(startDigitalOcean, "digitalocean.json", "digitalocean-token");
  });
  afterEach(() => cloud.close());

  const create = async (body: object = wanted) =>
    (await cloud.ask<{ droplet: Droplet }>("POST", "/v2/droplets", body)).body.droplet;
  const droplet = async (id: number) =>
    (await cloud.ask<{ droplet: Droplet }>("GET", `/v2/droplets/${id}`)).body.droplet;
  const becomes = (id: number, status: string) =>
    eventually(
      () => droplet(id),
      (now) => now.status === status && !now.locked,
    );
  const act = async (id: number, body: object) => {
    const { body: begun } = await cloud.ask<{ action: { id: number } }>(
      "POST",
      `/v2/droplets/${id}/actions`,
      body,
    );
    return eventually(
      async () =>
        (await cloud.ask<{ action: { status: string } }>("GET", `/v2/actions/${begun.action.id}`)).body
          .action,
      ({ status }) => status !== "in-progress",
    );
  };
  const refusal = async (method: string, path: string, body?: unknown) => {
    const reply = await cloud.ask<Refusal>(method, path, body);
    return `${reply.status} ${reply.body.id}`;
  };

  it("boots a machine, and tells its address only once it is up", async () => {
    const { body } = await cloud.ask<{ ssh_key: { id: number } }>("POST", "/v2/account/keys", {
      name: "operator",
      public_key: publicKey,
    });
    const made = await create({
      ...wanted,
      ssh_keys: [body.ssh_key.id],
      user_data: "#cloud-config",
      tags: ["prod"],
    });
    expect(made).toMatchObject({ status: "new", locked: true, networks: { v4: [] } });

    const active = await becomes(made.id, "active");
    expect(active.networks.v4.map(({ type }) => type)).toEqual(["private", "public"]);
    expect(cloud.rack.booted).toEqual([
      {
        id: String(made.id),
        name: "droplet-1",
        address: "203.0.113.128",
        provider: "digitalocean",
        serverType: "s-2vcpu-4gb",
        userData: "#cloud-config",
        sshKeys: [publicKey],
      },
    ]);
  });

  it("allows two droplets of one name", async () => {
    const [one, two] = [await create(), await create()];
    expect(one.id).not.toBe(two.id);
    const { body } = await cloud.ask<{ droplets: Droplet[] }>("GET", "/v2/droplets?name=droplet-1");
    expect(body.droplets).toHaveLength(2);
  });

  it("refuses what the real one refuses", async () => {
    const bad = async (change: object) => refusal("POST", "/v2/droplets", { ...wanted, ...change });
    expect(await bad({ size: "s-99vcpu" })).toBe("422 unprocessable_entity");
    expect(await bad({ region: "moon1" })).toBe("422 unprocessable_entity");
    expect(await bad({ image: "windows" })).toBe("422 unprocessable_entity");
    expect(await bad({ ssh_keys: [1] })).toBe("422 unprocessable_entity");
    expect(await bad({ name: "no spaces" })).toBe("422 unprocessable_entity");
    expect(await refusal("GET", "/v2/droplets/1")).toBe("404 not_found");
    expect((await cloud.ask("GET", "/v2/account", undefined, "guessed")).status).toBe(401);
  });

  it("resizes only while the droplet is off", async () => {
    const { id } = await create();
    await becomes(id, "active");
    const resize = { type: "resize", size: "s-4vcpu-8gb", disk: false };
    expect(await refusal("POST", `/v2/droplets/${id}/actions`, resize)).toBe("422 unprocessable_entity");
    await act(id, { type: "power_off" });
    expect(await refusal("POST", `/v2/droplets/${id}/actions`, { type: "power_off" })).toBe(
      "422 unprocessable_entity",
    );
    expect((await act(id, resize)).status).toBe("completed");
    await act(id, { type: "power_on" });
    expect(await becomes(id, "active")).toMatchObject({ size_slug: "s-4vcpu-8gb", disk: 80 });
    await act(id, { type: "rename", name: "droplet-9" });
    expect((await droplet(id)).name).toBe("droplet-9");
    expect(cloud.rack.powered).toEqual([`${id} off`, `${id} on`]);
  });

  it("forgets a deleted droplet at once", async () => {
    const { id } = await create({ ...wanted, tags: ["prod"] });
    await create({ ...wanted, tags: ["prod"] });
    expect((await cloud.ask("DELETE", `/v2/droplets/${id}`)).status).toBe(204);
    expect(await refusal("GET", `/v2/droplets/${id}`)).toBe("404 not_found");
    expect((await cloud.ask("DELETE", "/v2/droplets?tag_name=prod")).status).toBe(204);
    expect((await cloud.ask<{ droplets: Droplet[] }>("GET", "/v2/droplets")).body.droplets).toEqual([]);
    expect(cloud.rack.removed).toHaveLength(2);
  });

  it("keeps firewalls by droplet and by tag", async () => {
    const { id } = await create({ ...wanted, tags: ["prod"] });
    expect(
      await refusal("POST", "/v2/firewalls", { name: "ssh", tags: ["nosuch"], inbound_rules: [ssh] }),
    ).toBe("422 unprocessable_entity");
    const { body } = await cloud.ask<{ firewall: { id: string } }>("POST", "/v2/firewalls", {
      name: "ssh",
      droplet_ids: [id],
      inbound_rules: [ssh],
      outbound_rules: [{ protocol: "tcp", ports: "all", destinations: { addresses: ["0.0.0.0/0"] } }],
    });
    const path = `/v2/firewalls/${body.firewall.id}`;
    expect(body.firewall).toMatchObject({ status: "waiting", outbound_rules: [{ ports: "0" }] });
    await eventually(
      async () => (await cloud.ask<{ firewall: { status: string } }>("GET", path)).body.firewall,
      ({ status }) => status === "succeeded",
    );
    expect(await refusal("POST", "/v2/firewalls", { name: "ssh", inbound_rules: [ssh] })).toBe(
      "409 conflict",
    );
    await cloud.ask("DELETE", `${path}/droplets`, { droplet_ids: [id] });
    await cloud.ask("POST", `${path}/tags`, { tags: ["prod"] });
    const { body: guarded } = await cloud.ask<{ firewalls: unknown[] }>(
      "GET",
      `/v2/droplets/${id}/firewalls`,
    );
    expect(guarded.firewalls).toMatchObject([{ droplet_ids: [], tags: ["prod"] }]);
    const { body: put } = await cloud.ask("PUT", path, { name: "ssh", inbound_rules: [ssh] });
    expect(put).toMatchObject({ firewall: { tags: [], outbound_rules: [] } });
    expect((await cloud.ask("DELETE", path)).status).toBe(204);
  });

  it("takes each SSH key once, by any name", async () => {
    const post = (name: string, public_key: string) =>
      cloud.ask("POST", "/v2/account/keys", { name, public_key });
    const { body } = await cloud.ask<{ ssh_key: { id: number; fingerprint: string } }>(
      "POST",
      "/v2/account/keys",
      {
        name: "operator",
        public_key: publicKey,
      },
    );
    expect((await post("again", publicKey)).status).toBe(422);
    expect((await post("operator", otherKey)).status).toBe(201);
    await cloud.ask("PUT", `/v2/account/keys/${body.ssh_key.id}`, { name: "renamed" });
    expect((await cloud.ask("GET", `/v2/account/keys/${body.ssh_key.fingerprint}`)).body).toMatchObject({
      ssh_key: { name: "renamed" },
    });
    expect((await cloud.ask("DELETE", `/v2/account/keys/${body.ssh_key.id}`)).status).toBe(204);
  });

  it("tags droplets, and counts them", async () => {
    const { id } = await create();
    await cloud.ask("POST", "/v2/tags", { name: "large" });
    const resources = [{ resource_id: String(id), resource_type: "droplet" }];
    await cloud.ask("POST", "/v2/tags/large/resources", { resources });
    expect((await droplet(id)).tags).toEqual(["large"]);
    expect((await cloud.ask("GET", "/v2/tags/large")).body).toMatchObject({
      tag: { resources: { count: 1 } },
    });
    await cloud.ask("DELETE", "/v2/tags/large/resources", { resources });
    expect((await droplet(id)).tags).toEqual([]);
    expect((await cloud.ask("DELETE", "/v2/tags/large")).status).toBe(204);
  });

  it("lists in pages and says how many requests are left", async () => {
    const page = await cloud.ask<{ links: { pages: object }; meta: object }>(
      "GET",
      "/v2/sizes?page=2&per_page=10",
    );
    expect(Object.keys(page.body.links.pages).toSorted()).toEqual(["first", "last", "next", "prev"]);
    expect(page.body.meta).toEqual({ total: 25 });
    expect(page.headers.get("ratelimit-limit")).toBe("5000");
    for (const path of [
      "/v2/regions",
      "/v2/images",
      "/v2/images/192000001",
      "/v2/account",
      "/v2/actions",
      "/v2/tags",
    ])
      expect((await cloud.ask("GET", path)).status).toBe(200);
  });

  it("suffers injected faults once", async () => {
    cloud.inject({ digitalocean: { kind: "resource_unavailable", times: 1 } });
    expect(await refusal("POST", "/v2/droplets", wanted)).toBe("422 unprocessable_entity");
    cloud.inject({ digitalocean: { kind: "429", times: 1 } });
    expect(await refusal("POST", "/v2/droplets", wanted)).toBe("429 too_many_requests");
    cloud.inject({ "digitalocean:GET /droplets/{droplet_id}": { kind: "500", times: 1 } });
    const { id } = await create();
    expect(await refusal("GET", `/v2/droplets/${id}`)).toBe("500 server_error");
    expect((await droplet(id)).name).toBe("droplet-1");
  });

  it("goes on after a restart with what it had begun", async () => {
    cloud.rack.stall = "droplet-1";
    const { id } = await create();
    cloud.rack.stall = undefined;
    await cloud.restart();
    await becomes(id, "active");
    expect(cloud.rack.booted.map(({ name }) => name)).toEqual(["droplet-1"]);
  });

  it("records each request with the name of what it is about", async () => {
    const { id } = await create();
    await cloud.ask("DELETE", `/v2/droplets/${id}`);
    expect(cloud.calls()).toEqual(["POST /droplets droplet-1", `DELETE /droplets/${id} droplet-1`]);
  });
});
