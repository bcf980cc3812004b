import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startHetzner } from "../../../rehearsal/clouds/hetzner.ts";
import { matchesLabels } from "../../../rehearsal/clouds/labels.ts";
import { type Cloud, eventually, otherKey, publicKey, startCloud } from "./fixture.ts";

interface Server {
  readonly id: number;
  readonly name: string;
  readonly status: string;
  readonly labels: Record<string, string>;
  readonly server_type: { readonly name: string };
  readonly public_net: {
    readonly ipv4: { readonly ip: string } | null;
    readonly firewalls: readonly { readonly id: number }[];
  };
}
interface Action {
  readonly id: number;
  readonly status: string;
  readonly error: { readonly message: string } | null;
}
interface Refusal {
  readonly error: { readonly code: string };
}
type Created = { readonly server: Server; readonly action: Action; readonly next_actions: readonly Action[] };

const builder = { name: "builder-1", server_type: "ccx23", image: "debian-12", location: "nbg1" };

describe("the simulated Hetzner Cloud", () => {
  let cloud: Cloud;
  beforeEach(async () => {
    cloud = await startCloud(startHetzner, "hetzner.json", "hetzner-token");
  });
  afterEach(() => cloud.close());

  const create = async (wanted: object = builder) =>
    (await cloud.ask<Created>("POST", "/servers", wanted)).body;
  const server = async (id: number) =>
    (await cloud.ask<{ server: Server }>("GET", `/servers/${id}`)).body.server;
  const becomes = (id: number, status: string) =>
    eventually(
      () => server(id),
      (now) => now.status === status,
    );
  const ends = (id: number) =>
    eventually(
      async () => (await cloud.ask<{ action: Action }>("GET", `/actions/${id}`)).body.action,
      ({ status }) => status !== "running",
    );
  const refusal = async (method: string, path: string, body?: unknown) => {
    const reply = await cloud.ask<Refusal>(method, path, body);
    return `${reply.status} ${reply.body.error.code}`;
  };

  it("boots a machine with the user data and the keys that the server was created with", async () => {
    await cloud.ask("POST", "/ssh_keys", { name: "operator", public_key: publicKey });
    const made = await create({
      ...builder,
      ssh_keys: ["operator"],
      user_data: "#cloud-config",
      labels: { fleet: "ci" },
    });
    expect(made.server.status).toBe("initializing");
    expect(made.action.status).toBe("running");

    const running = await becomes(made.server.id, "running");
    expect((await ends(made.next_actions[0]?.id ?? 0)).status).toBe("success");
    expect(running.public_net.ipv4?.ip).toBe("203.0.113.1");
    expect(cloud.rack.booted).toEqual([
      {
        id: String(made.server.id),
        name: "builder-1",
        address: "203.0.113.1",
        provider: "hetzner",
        serverType: "ccx23",
        userData: "#cloud-config",
        sshKeys: [publicKey],
      },
    ]);
  });

  it("fails the action, not the request, when the machine does not boot", async () => {
    cloud.rack.refuse = "builder-1";
    const { action, next_actions } = await create();
    const failed = {
      status: "error",
      error: { code: "action_failed", message: "no such image on the disk" },
    };
    expect(await ends(action.id)).toMatchObject(failed);
    expect((await ends(next_actions[0]?.id ?? 0)).status).toBe("error");
  });

  it("refuses what the real one refuses", async () => {
    await create();
    expect(await refusal("POST", "/servers", builder)).toBe("409 uniqueness_error");
    expect(await refusal("POST", "/servers", { ...builder, name: "b", server_type: "cx9" })).toBe(
      "422 invalid_input",
    );
    expect(
      await refusal("POST", "/servers", { ...builder, name: "b", server_type: "cax11", location: "ash" }),
    ).toBe("422 invalid_input");
    expect(await refusal("POST", "/servers", { ...builder, name: "b", image: "windows" })).toBe(
      "422 invalid_input",
    );
    expect(await refusal("POST", "/servers", { ...builder, name: "b", ssh_keys: ["nobody"] })).toBe(
      "422 invalid_input",
    );
    expect(await refusal("GET", "/servers/1")).toBe("404 not_found");
    const stranger = await cloud.ask<Refusal>("GET", "/servers", undefined, "guessed");
    expect([stranger.status, stranger.body.error.code]).toEqual([401, "unauthorized"]);
  });

  it("takes the image for the architecture of the type", async () => {
    const { server: arm } = await create({ ...builder, server_type: "cax21" });
    expect(arm).toMatchObject({ image: { architecture: "arm", name: "debian-12" } });
  });

  it("holds a deleted server's name until it is gone", async () => {
    const { server: doomed } = await create();
    await becomes(doomed.id, "running");
    await cloud.ask("DELETE", `/servers/${doomed.id}`);
    expect(await refusal("POST", "/servers", builder)).toBe("409 uniqueness_error");
    await eventually(
      () => cloud.ask("GET", `/servers/${doomed.id}`),
      ({ status }) => status === 404,
    );
    expect(cloud.rack.removed).toEqual([String(doomed.id)]);
    expect((await create()).server.public_net.ipv4?.ip).toBe("203.0.113.2");
  });

  it("changes a type only while the server is off, and starts it again", async () => {
    const { server: grown } = await create();
    await becomes(grown.id, "running");
    const change = { server_type: "ccx33", upgrade_disk: true };
    expect(await refusal("POST", `/servers/${grown.id}/actions/change_type`, change)).toBe(
      "422 server_not_stopped",
    );
    await cloud.ask("POST", `/servers/${grown.id}/actions/poweroff`);
    await becomes(grown.id, "off");
    await cloud.ask("POST", `/servers/${grown.id}/actions/change_type`, change);
    expect((await becomes(grown.id, "running")).server_type.name).toBe("ccx33");
    expect(cloud.rack.powered).toEqual([`${grown.id} off`, `${grown.id} on`]);
  });

  it("changes labels and name in place, and finds servers by them", async () => {
    const { server: labelled } = await create({ ...builder, labels: { fleet: "ci" } });
    await cloud.ask("PUT", `/servers/${labelled.id}`, {
      name: "builder-9",
      labels: { fleet: "ci", prod: "" },
    });
    const found = async (query: string) =>
      (await cloud.ask<{ servers: Server[] }>("GET", `/servers?${query}`)).body.servers.map(
        ({ name }) => name,
      );
    expect(await found("label_selector=fleet%3Dci,prod")).toEqual(["builder-9"]);
    expect(await found("label_selector=fleet!%3Dci")).toEqual([]);
    expect(await found("name=builder-9")).toEqual(["builder-9"]);
  });

  it("protects a server from deletion when told to", async () => {
    const { server: kept } = await create();
    await cloud.ask("POST", `/servers/${kept.id}/actions/change_protection`, { delete: true, rebuild: true });
    expect(await refusal("DELETE", `/servers/${kept.id}`)).toBe("423 protected");
  });

  it("applies firewalls to servers and to labels, and keeps one that is in use", async () => {
    const rules = [{ direction: "in", protocol: "tcp", port: "22", source_ips: ["198.51.100.0/24"] }];
    const { body } = await cloud.ask<{ firewall: { id: number } }>("POST", "/firewalls", {
      name: "ssh",
      rules,
    });
    const { id } = body.firewall;
    const { server: guarded } = await create({
      ...builder,
      labels: { fleet: "ci" },
      firewalls: [{ firewall: id }],
    });
    expect(guarded.public_net.firewalls).toEqual([{ id, status: "applied" }]);
    expect(await refusal("DELETE", `/firewalls/${id}`)).toBe("422 resource_in_use");

    const byServer = [{ type: "server", server: { id: guarded.id } }];
    const byLabel = [{ type: "label_selector", label_selector: { selector: "fleet=ci" } }];
    await cloud.ask("POST", `/firewalls/${id}/actions/remove_from_resources`, { remove_from: byServer });
    expect((await server(guarded.id)).public_net.firewalls).toEqual([]);
    await cloud.ask("POST", `/firewalls/${id}/actions/apply_to_resources`, { apply_to: byLabel });
    expect((await server(guarded.id)).public_net.firewalls).toEqual([{ id, status: "applied" }]);
    await cloud.ask("POST", `/firewalls/${id}/actions/set_rules`, { rules: [] });
    await cloud.ask("POST", `/firewalls/${id}/actions/remove_from_resources`, { remove_from: byLabel });
    await cloud.ask("PUT", `/firewalls/${id}`, { name: "renamed" });
    expect((await cloud.ask("GET", `/firewalls/${id}`)).body).toMatchObject({
      firewall: { name: "renamed", rules: [] },
    });
    expect((await cloud.ask("DELETE", `/firewalls/${id}`)).status).toBe(204);
  });

  it("takes each SSH key once", async () => {
    const { body } = await cloud.ask<{ ssh_key: { id: number; fingerprint: string } }>("POST", "/ssh_keys", {
      name: "operator",
      public_key: publicKey,
    });
    expect(body.ssh_key.fingerprint).toMatch(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/);
    expect(await refusal("POST", "/ssh_keys", { name: "again", public_key: publicKey })).toBe(
      "409 uniqueness_error",
    );
    expect(await refusal("POST", "/ssh_keys", { name: "operator", public_key: otherKey })).toBe(
      "409 uniqueness_error",
    );
    expect(await refusal("POST", "/ssh_keys", { name: "bad", public_key: "hello" })).toBe(
      "422 invalid_input",
    );
    await cloud.ask("PUT", `/ssh_keys/${body.ssh_key.id}`, { labels: { by: "flotilla" } });
    expect((await cloud.ask("GET", `/ssh_keys?name=operator`)).body).toMatchObject({
      ssh_keys: [{ id: body.ssh_key.id }],
    });
    expect((await cloud.ask("DELETE", `/ssh_keys/${body.ssh_key.id}`)).status).toBe(204);
  });

  it("lists in pages and says how many requests are left", async () => {
    const page = await cloud.ask<{ meta: unknown }>("GET", "/server_types?page=2&per_page=10");
    expect(page.body.meta).toMatchObject({
      pagination: { page: 2, per_page: 10, previous_page: 1, next_page: 3, last_page: 3 },
    });
    expect(page.headers.get("ratelimit-limit")).toBe("3600");
    const left = Number(page.headers.get("ratelimit-remaining"));
    const next = await cloud.ask("GET", "/locations");
    expect(Number(next.headers.get("ratelimit-remaining"))).toBe(left - 1);
    for (const path of [
      "/images?architecture=arm",
      "/images/114690387",
      "/server_types/97",
      "/locations/2",
      "/actions",
    ])
      expect((await cloud.ask("GET", path)).status).toBe(200);
  });

  it("suffers injected faults once, at creation or at a named route", async () => {
    cloud.inject({
      hetzner: { kind: "resource_unavailable", times: 2 },
      "hetzner:GET /locations": { kind: "429", times: 1 },
    });
    expect(await refusal("GET", "/locations")).toBe("429 rate_limit_exceeded");
    expect(await refusal("POST", "/servers", builder)).toBe("412 resource_unavailable");
    expect(await refusal("POST", "/servers", builder)).toBe("412 resource_unavailable");
    await create();
    cloud.inject({ hetzner: { kind: "500", times: 1 } });
    expect(await refusal("POST", "/servers", { ...builder, name: "b" })).toBe("500 service_error");
    cloud.inject({ hetzner: { kind: "slow", times: 1 } });
    const began = Date.now();
    await create({ ...builder, name: "b" });
    expect(Date.now() - began).toBeGreaterThan(70);
    cloud.inject({ hetzner: { kind: "lost", times: 1 } });
    await expect(create({ ...builder, name: "c" })).rejects.toThrow("fetch failed");
    expect(await refusal("POST", "/servers", { ...builder, name: "c" })).toBe("409 uniqueness_error");
  });

  it("goes on after a restart with what it had begun", async () => {
    cloud.rack.stall = "builder-1";
    const { server: pending, action } = await create();
    await cloud.restart();
    cloud.rack.stall = undefined;
    expect((await server(pending.id)).status).toBe("initializing");
    await cloud.restart();
    await becomes(pending.id, "running");
    expect((await ends(action.id)).status).toBe("success");
    expect(cloud.rack.booted.map(({ name }) => name)).toEqual(["builder-1"]);
  });

  it("records each request with the name of what it is about, and no secret", async () => {
    const { server: noted } = await create({ ...builder, user_data: "secret words" });
    await cloud.ask("GET", `/servers/${noted.id}`);
    await cloud.ask("GET", "/servers", undefined, "guessed");
    expect(cloud.calls()).toEqual([
      "POST /servers builder-1",
      `GET /servers/${noted.id} builder-1`,
      "GET /servers refused: wrong token",
    ]);
  });
});

describe("label selectors", () => {
  it.each([
    ["", true],
    ["fleet", true],
    ["!fleet", false],
    ["fleet=ci", true],
    ["fleet==ci,prod", true],
    ["fleet!=ci", false],
    ["missing!=x", true],
    ["fleet in (cd, ci)", true],
    ["fleet notin (cd, ci)", false],
    ["fleet in (cd),prod", false],
  ])("%j on fleet=ci, prod: %s", (selector, matches) => {
    expect(matchesLabels({ fleet: "ci", prod: "" }, selector)).toBe(matches);
  });
});
