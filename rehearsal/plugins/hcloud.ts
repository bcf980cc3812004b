/**
 * A stand-in for Pulumi's hcloud plugin: the resource types that a fleet uses, with the official replacement rules,
 * against whatever speaks the Hetzner Cloud API.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Properties, ProviderDefinition, State } from "../../provider/protocol.ts";
import { type Client, createClient, orGone, until } from "./client.ts";
import { type Calls, resource, setting, type Table } from "./resource.ts";
import { numbers, objects, texts } from "./values.ts";

export interface HcloudOptions {
  /** Where the program's configuration names no `endpoint`. */
  readonly endpoint: string;
  /** Where it names no `token`; otherwise `HCLOUD_TOKEN`. */
  readonly token?: string;
}

const bootLimitSeconds = 900;
const actionLimitSeconds = 300;

export const serverTable: Table = {
  inputs: {
    name: "update",
    serverType: "update",
    image: "computed replace",
    location: "computed replace",
    userData: "replace",
    sshKeys: "replace",
    labels: "update",
    firewallIds: "computed update",
    publicNets: "update",
    keepDisk: "update",
    backups: "update",
    ignoreRemoteFirewallIds: "update",
    allowDeprecatedImages: "update",
    deleteProtection: "update",
    rebuildProtection: "update",
    shutdownBeforeDeletion: "update",
  },
  required: ["serverType"],
  defaults: {
    keepDisk: false,
    backups: false,
    ignoreRemoteFirewallIds: false,
    deleteProtection: false,
    rebuildProtection: false,
    shutdownBeforeDeletion: false,
  },
  named: true,
  deleteFirst: true,
  sets: ["firewallIds", "publicNets"],
  writeOnly: [
    "sshKeys",
    "publicNets",
    "keepDisk",
    "ignoreRemoteFirewallIds",
    "allowDeprecatedImages",
    "shutdownBeforeDeletion",
  ],
  shown: { userData: (value) => createHash("sha1").update(String(value)).digest("base64") },
  unsupported: ["backups", "datacenter", "iso", "networks", "placementGroupId", "rescue"],
};

/** Built on another framework than the others: the official plugin creates the replacement first, name or not. */
export const sshKeyTable: Table = {
  inputs: { name: "update", publicKey: "replace", labels: "update" },
  required: ["publicKey"],
  named: true,
};

export const firewallTable: Table = {
  inputs: { name: "update", labels: "computed update", rules: "update", applyTos: "computed update" },
  named: true,
  sets: ["rules", "applyTos"],
};

const action = z.object({
  id: z.number(),
  status: z.enum(["running", "success", "error"]),
  command: z.string(),
  error: z.object({ code: z.string(), message: z.string() }).nullish(),
});
const labels = z.record(z.string(), z.string());
const server = z.object({
  id: z.number(),
  name: z.string(),
  status: z.string(),
  labels,
  primary_disk_size: z.number(),
  backup_window: z.string().nullable(),
  protection: z.object({ delete: z.boolean(), rebuild: z.boolean() }),
  server_type: z.object({ name: z.string() }),
  location: z.object({ name: z.string() }),
  datacenter: z.object({ name: z.string() }).nullish(),
  image: z.object({ id: z.number(), name: z.string().nullable() }).nullable(),
  public_net: z.object({
    ipv4: z.object({ ip: z.string() }).nullable(),
    ipv6: z.object({ ip: z.string() }).nullable(),
    firewalls: z.array(z.object({ id: z.number() })).default([]),
  }),
});
const sshKey = z.object({
  id: z.number(),
  name: z.string(),
  fingerprint: z.string(),
  public_key: z.string(),
  labels,
});
const applied = z.object({
  type: z.enum(["server", "label_selector"]),
  server: z.object({ id: z.number() }).optional(),
  label_selector: z.object({ selector: z.string() }).optional(),
});
const firewall = z.object({
  id: z.number(),
  name: z.string(),
  labels: labels.default({}),
  rules: z.array(
    z.object({
      direction: z.string(),
      protocol: z.string(),
      port: z.string().nullable(),
      description: z.string().nullish(),
      source_ips: z.array(z.string()),
      destination_ips: z.array(z.string()),
    }),
  ),
  applied_to: z.array(applied),
});
const oneAction = z.object({ action });
const manyActions = z.object({ actions: z.array(action).default([]) });
const nothing = z.unknown();

export function hcloudPlugin(options: HcloudOptions): ProviderDefinition {
  let config: Properties = {};
  const client = (): Client => {
    const token = setting(config, "token") ?? options.token ?? process.env.HCLOUD_TOKEN;
    if (token === undefined) throw new Error("hcloud has no token; set hcloud:token or HCLOUD_TOKEN");
    if (token.length !== 64) throw new Error("entered token is invalid (must be exactly 64 characters long)");
    return createClient({
      service: "Hetzner Cloud",
      base: (setting(config, "endpoint") ?? options.endpoint).replace(/\/$/, ""),
      headers: { authorization: `Bearer ${token}` },
      reasonOf: (body) => {
        const { data } = z
          .object({ error: z.object({ code: z.string(), message: z.string() }) })
          .safeParse(body);
        return data && `${data.error.message} (${data.error.code})`;
      },
      retried: (status) => status === 429 || status === 502 || status === 504,
    });
  };

  return {
    name: "hcloud",
    version: "1.41.0",
    resources: {
      "hcloud:index/server:Server": resource(serverTable, servers(client)),
      "hcloud:index/sshKey:SshKey": resource(sshKeyTable, sshKeys(client)),
      "hcloud:index/firewall:Firewall": resource(firewallTable, firewalls(client)),
    },
    configure: (given) => {
      config = given;
    },
  };
}

type Actions = readonly z.infer<typeof action>[];

async function finished(
  client: Client,
  signal: AbortSignal,
  actions: Actions,
  limitSeconds: number,
): Promise<void> {
  for (const { id, command } of actions)
    await until(`${command} at Hetzner Cloud`, limitSeconds, signal, async () => {
      const now = (await client.call(signal, oneAction, "GET", `/actions/${id}`)).action;
      if (now.status === "error")
        throw new Error(`${command} at Hetzner Cloud failed: ${now.error?.message} (${now.error?.code})`);
      return now.status === "success" ? now : undefined;
    });
}

function servers(connect: () => Client): Calls {
  const act = async (client: Client, signal: AbortSignal, id: string, name: string, body?: unknown) => {
    const answer = await client.call(signal, oneAction, "POST", `/servers/${id}/actions/${name}`, body);
    await finished(client, signal, [answer.action], actionLimitSeconds);
  };
  const applyFirewall = async (
    client: Client,
    signal: AbortSignal,
    id: number,
    on: boolean,
    serverId: string,
  ) => {
    const resources = [{ type: "server", server: { id: Number(serverId) } }];
    const path = `/firewalls/${id}/actions/${on ? "apply_to" : "remove_from"}_resources`;
    const body = on ? { apply_to: resources } : { remove_from: resources };
    const { actions } = await client.call(signal, manyActions, "POST", path, body);
    await finished(client, signal, actions, actionLimitSeconds);
  };

  return {
    create: async (inputs, { signal }) => {
      const client = connect();
      const keys = await Promise.all(texts(inputs.sshKeys).map((key) => keyId(client, signal, key)));
      const [net] = objects(inputs.publicNets);
      const made = await client.call(
        signal,
        z.object({ server, action, next_actions: z.array(action) }),
        "POST",
        "/servers",
        {
          name: inputs.name,
          server_type: inputs.serverType,
          image: inputs.image,
          location: inputs.location,
          user_data: inputs.userData,
          ssh_keys: keys,
          labels: inputs.labels,
          firewalls: numbers(inputs.firewallIds).map((id) => ({ firewall: id })),
          ...(net && {
            public_net: { enable_ipv4: net.ipv4Enabled ?? true, enable_ipv6: net.ipv6Enabled ?? true },
          }),
        },
      );
      const id = String(made.server.id);
      return {
        id,
        finish: async () => {
          await finished(client, signal, [made.action, ...made.next_actions], bootLimitSeconds);
          if (inputs.deleteProtection || inputs.rebuildProtection)
            await act(client, signal, id, "change_protection", protectionOf(inputs));
        },
      };
    },

    read: async (id, state, { signal }) => {
      const answer = await orGone(connect().call(signal, z.object({ server }), "GET", `/servers/${id}`));
      return answer && renderServer(answer.server, state);
    },

    update: async (old, news, changed, { signal }) => {
      const client = connect();
      const { id } = old;
      if (changed.has("publicNets"))
        throw new Error("the rehearsal's stand-in does not simulate a change of publicNets on a server");
      if (changed.has("name") || changed.has("labels"))
        await client.call(signal, nothing, "PUT", `/servers/${id}`, {
          name: news.name,
          labels: news.labels ?? {},
        });
      if (changed.has("serverType")) {
        const now = await client.call(signal, z.object({ server }), "GET", `/servers/${id}`);
        if (now.server.status === "running") await act(client, signal, id, "poweroff");
        await act(client, signal, id, "change_type", {
          server_type: news.serverType,
          upgrade_disk: news.keepDisk !== true,
        });
      }
      if (changed.has("firewallIds")) {
        const now = await client.call(signal, z.object({ server }), "GET", `/servers/${id}`);
        const [has, wants] = [now.server.public_net.firewalls.map((f) => f.id), numbers(news.firewallIds)];
        for (const one of has.filter((f) => !wants.includes(f)))
          await applyFirewall(client, signal, one, false, id);
        for (const one of wants.filter((f) => !has.includes(f)))
          await applyFirewall(client, signal, one, true, id);
      }
      if (changed.has("deleteProtection") || changed.has("rebuildProtection"))
        await act(client, signal, id, "change_protection", protectionOf(news));
    },

    delete: async ({ id, inputs }, { signal }) => {
      const client = connect();
      if (inputs.shutdownBeforeDeletion) await orGone(act(client, signal, id, "shutdown"));
      const answer = await orGone(client.call(signal, oneAction, "DELETE", `/servers/${id}`));
      if (answer) await finished(client, signal, [answer.action], actionLimitSeconds);
    },
  };
}

/** As the official plugin does: an id when there is one of this number, else a name. */
async function keyId(client: Client, signal: AbortSignal, idOrName: string): Promise<number> {
  const byId = /^\d+$/.test(idOrName)
    ? await orGone(client.call(signal, z.object({ ssh_key: sshKey }), "GET", `/ssh_keys/${idOrName}`))
    : undefined;
  if (byId !== undefined) return byId.ssh_key.id;
  const query = `/ssh_keys?name=${encodeURIComponent(idOrName)}`;
  const { ssh_keys } = await client.call(signal, z.object({ ssh_keys: z.array(sshKey) }), "GET", query);
  const [named] = ssh_keys;
  if (named === undefined) throw new Error(`SSH key not found: ${idOrName}`);
  return named.id;
}

function renderServer(now: z.infer<typeof server>, state: Properties): Properties {
  const { ipv4, ipv6 } = now.public_net;
  const network = ipv6?.ip ?? "";
  const image = now.image;
  const byId = image !== null && (image.name === null || state.image === String(image.id));
  return {
    name: now.name,
    status: now.status,
    serverType: now.server_type.name,
    location: now.location.name,
    labels: now.labels,
    primaryDiskSize: now.primary_disk_size,
    backupWindow: now.backup_window ?? "",
    backups: now.backup_window !== null,
    deleteProtection: now.protection.delete,
    rebuildProtection: now.protection.rebuild,
    firewallIds: now.public_net.firewalls.map(({ id }) => id),
    ipv4Address: ipv4?.ip ?? "",
    ipv6Address: network === "" ? "" : network.replace(/\/\d+$/, "1"),
    ipv6Network: network,
    ...(now.datacenter ? { datacenter: now.datacenter.name } : {}),
    ...(image === null ? {} : { image: byId ? String(image.id) : (image.name ?? "") }),
  };
}

function protectionOf(inputs: Properties) {
  return { delete: inputs.deleteProtection === true, rebuild: inputs.rebuildProtection === true };
}

function sshKeys(connect: () => Client): Calls {
  const one = z.object({ ssh_key: sshKey });
  return {
    create: async (inputs, { signal }) => {
      const { ssh_key } = await connect().call(signal, one, "POST", "/ssh_keys", {
        name: inputs.name,
        public_key: inputs.publicKey,
        labels: inputs.labels,
      });
      return { id: String(ssh_key.id) };
    },
    read: async (id, _state, { signal }) => {
      const answer = await orGone(connect().call(signal, one, "GET", `/ssh_keys/${id}`));
      if (answer === undefined) return undefined;
      const { name, fingerprint, public_key, labels: set } = answer.ssh_key;
      return { name, fingerprint, publicKey: public_key, labels: set };
    },
    update: async ({ id }, news, _changed, { signal }) => {
      await connect().call(signal, nothing, "PUT", `/ssh_keys/${id}`, {
        name: news.name,
        labels: news.labels ?? {},
      });
    },
    delete: async ({ id }, { signal }) => {
      await orGone(connect().call(signal, nothing, "DELETE", `/ssh_keys/${id}`));
    },
  };
}

function firewalls(connect: () => Client): Calls {
  const one = z.object({ firewall });
  const change = async (client: Client, signal: AbortSignal, id: string, name: string, body: unknown) => {
    const { actions } = await client.call(
      signal,
      manyActions,
      "POST",
      `/firewalls/${id}/actions/${name}`,
      body,
    );
    await finished(client, signal, actions, actionLimitSeconds);
  };
  return {
    create: async (inputs, { signal }) => {
      const client = connect();
      const made = await client.call(signal, one.extend(manyActions.shape), "POST", "/firewalls", {
        name: inputs.name,
        labels: inputs.labels,
        rules: objects(inputs.rules).map(ruleBody),
        apply_to: objects(inputs.applyTos).map(targetBody),
      });
      const finish = () => finished(client, signal, made.actions, actionLimitSeconds);
      return { id: String(made.firewall.id), finish };
    },
    read: async (id, _state, { signal }) => {
      const answer = await orGone(connect().call(signal, one, "GET", `/firewalls/${id}`));
      return answer && renderFirewall(answer.firewall);
    },
    update: async ({ id, inputs }, news, changed, { signal }) => {
      const client = connect();
      if (changed.has("name") || changed.has("labels"))
        await client.call(signal, nothing, "PUT", `/firewalls/${id}`, {
          name: news.name,
          labels: news.labels ?? {},
        });
      if (changed.has("rules"))
        await change(client, signal, id, "set_rules", { rules: objects(news.rules).map(ruleBody) });
      if (changed.has("applyTos")) {
        const [old, wanted] = [inputs, news].map((side) => objects(side.applyTos).map(targetBody));
        const only = (these: readonly Target[] = [], others: readonly Target[] = []) =>
          these.filter((a) => !others.some((b) => JSON.stringify(a) === JSON.stringify(b)));
        const [gone, added] = [only(old, wanted), only(wanted, old)];
        if (gone.length > 0) await change(client, signal, id, "remove_from_resources", { remove_from: gone });
        if (added.length > 0) await change(client, signal, id, "apply_to_resources", { apply_to: added });
      }
    },
    delete: async ({ id }: State, { signal }) => {
      const client = connect();
      const now = await orGone(client.call(signal, one, "GET", `/firewalls/${id}`));
      if (now === undefined) return;
      const targets = now.firewall.applied_to.map(({ type, server: on, label_selector }) => ({
        type,
        ...(on ? { server: on } : { label_selector }),
      }));
      if (targets.length > 0)
        await change(client, signal, id, "remove_from_resources", { remove_from: targets });
      await orGone(client.call(signal, nothing, "DELETE", `/firewalls/${id}`));
    },
  };
}

function ruleBody(rule: Properties) {
  return {
    direction: rule.direction,
    protocol: rule.protocol,
    source_ips: texts(rule.sourceIps),
    destination_ips: texts(rule.destinationIps),
    ...(rule.port ? { port: rule.port } : {}),
    ...(rule.description ? { description: rule.description } : {}),
  };
}

function targetBody(target: Properties) {
  return target.labelSelector
    ? { type: "label_selector", label_selector: { selector: target.labelSelector } }
    : { type: "server", server: { id: target.server } };
}
type Target = ReturnType<typeof targetBody>;

function renderFirewall(now: z.infer<typeof firewall>): Properties {
  return {
    name: now.name,
    labels: now.labels,
    rules: now.rules.map((rule) => ({
      direction: rule.direction,
      protocol: rule.protocol,
      ...(rule.port === null ? {} : { port: rule.port }),
      ...(rule.description ? { description: rule.description } : {}),
      ...(rule.source_ips.length > 0 ? { sourceIps: rule.source_ips } : {}),
      ...(rule.destination_ips.length > 0 ? { destinationIps: rule.destination_ips } : {}),
    })),
    applyTos: now.applied_to.map(({ server: on, label_selector }) =>
      on ? { server: on.id } : { labelSelector: label_selector?.selector ?? "" },
    ),
  };
}
