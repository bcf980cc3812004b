/**
 * A stand-in for Pulumi's DigitalOcean plugin: the resource types that a fleet uses, with the official replacement
 * rules, against whatever speaks the DigitalOcean API.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Properties, ProviderDefinition } from "../../provider/protocol.ts";
import { type Client, createClient, orGone, until } from "./client.ts";
import { type Calls, resource, setting, type Table } from "./resource.ts";
import { numbers, objects, texts } from "./values.ts";

export interface DigitalOceanOptions {
  /** Where the program's configuration names no `apiEndpoint`. Without `/v2`. */
  readonly apiEndpoint: string;
  /** Where it names no `token`; otherwise `DIGITALOCEAN_TOKEN`. */
  readonly token?: string;
}

const bootLimitSeconds = 900;
const actionLimitSeconds = 300;

export const dropletTable: Table = {
  inputs: {
    name: "update",
    size: "update",
    image: "replace",
    region: "computed replace",
    userData: "replace",
    sshKeys: "replace",
    tags: "update",
    monitoring: "replace",
    dropletAgent: "replace",
    vpcUuid: "computed replace",
    ipv6: (old, news) => (old.ipv6 === true && news.ipv6 !== true ? "replace" : "update"),
    backups: "update",
    gracefulShutdown: "update",
    resizeDisk: "update",
  },
  required: ["image", "size"],
  defaults: { backups: false, gracefulShutdown: false, ipv6: false, monitoring: false, resizeDisk: true },
  named: true,
  deleteFirst: true,
  sets: ["sshKeys", "tags"],
  // Slugs move on to newer images: the official plugin never reads the image back.
  writeOnly: ["image", "sshKeys", "dropletAgent", "gracefulShutdown", "resizeDisk"],
  shown: { userData: (value) => createHash("sha1").update(String(value)).digest("hex") },
  unsupported: [
    "backups",
    "backupPolicy",
    "gpuPartitionMode",
    "ipv6Address",
    "privateNetworking",
    "publicNetworking",
    "volumeIds",
  ],
};

export const sshKeyTable: Table = {
  inputs: { name: "update", publicKey: "replace" },
  required: ["publicKey"],
  named: true,
  deleteFirst: true,
};

export const firewallTable: Table = {
  inputs: {
    name: "update",
    dropletIds: "update",
    inboundRules: "update",
    outboundRules: "update",
    tags: "update",
  },
  named: true,
  sets: ["dropletIds", "inboundRules", "outboundRules", "tags"],
};

export const tagTable: Table = { inputs: { name: "replace" }, named: true, deleteFirst: true };

const action = z.object({
  id: z.number(),
  status: z.enum(["in-progress", "completed", "errored"]),
  type: z.string(),
});
const addresses = z.array(z.object({ ip_address: z.string(), type: z.string() })).default([]);
const droplet = z.object({
  id: z.number(),
  name: z.string(),
  memory: z.number(),
  vcpus: z.number(),
  disk: z.number(),
  locked: z.boolean(),
  status: z.string(),
  created_at: z.string(),
  features: z.array(z.string()),
  size: z.object({ slug: z.string(), price_hourly: z.number(), price_monthly: z.number() }),
  networks: z.object({ v4: addresses, v6: addresses }),
  region: z.object({ slug: z.string() }),
  tags: z.array(z.string()),
  volume_ids: z.array(z.string()),
  vpc_uuid: z.string().default(""),
});
const sshKey = z.object({
  id: z.number(),
  name: z.string(),
  fingerprint: z.string(),
  public_key: z.string(),
});
const ends = z.object({
  addresses: z.array(z.string()).default([]),
  droplet_ids: z.array(z.number()).default([]),
  tags: z.array(z.string()).nullish(),
});
const rule = z.object({ protocol: z.string(), ports: z.string() });
const firewall = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  created_at: z.string(),
  droplet_ids: z.array(z.number()).nullish(),
  tags: z.array(z.string()).nullish(),
  pending_changes: z
    .array(z.object({ droplet_id: z.number(), removing: z.boolean(), status: z.string() }))
    .default([]),
  inbound_rules: z.array(rule.extend({ sources: ends })).nullish(),
  outbound_rules: z.array(rule.extend({ destinations: ends })).nullish(),
});
const counted = z.object({ count: z.number() }).default({ count: 0 });
const tag = z.object({
  name: z.string(),
  resources: z.object({
    count: z.number(),
    droplets: counted,
    images: counted,
    volumes: counted,
    volume_snapshots: counted,
    databases: counted,
  }),
});
const nothing = z.unknown();

export function digitaloceanPlugin(options: DigitalOceanOptions): ProviderDefinition {
  let config: Properties = {};
  const client = (): Client => {
    const token = setting(config, "token") ?? options.token ?? process.env.DIGITALOCEAN_TOKEN;
    if (token === undefined)
      throw new Error("digitalocean has no token; set digitalocean:token or DIGITALOCEAN_TOKEN");
    // The SDK fills in the real address where the program names none.
    const named = setting(config, "apiEndpoint");
    const base =
      named === undefined || named === "https://api.digitalocean.com" ? options.apiEndpoint : named;
    return createClient({
      service: "DigitalOcean",
      base: `${base.replace(/\/$/, "")}/v2`,
      headers: { authorization: `Bearer ${token}` },
      reasonOf: (body) => z.object({ message: z.string() }).safeParse(body).data?.message,
      retried: (status) => status === 429 || (status >= 500 && status !== 501),
    });
  };

  return {
    name: "digitalocean",
    version: "4.80.1",
    resources: {
      "digitalocean:index/droplet:Droplet": resource(dropletTable, droplets(client)),
      "digitalocean:index/sshKey:SshKey": resource(sshKeyTable, sshKeys(client)),
      "digitalocean:index/firewall:Firewall": resource(firewallTable, firewalls(client)),
      "digitalocean:index/tag:Tag": resource(tagTable, tags(client)),
    },
    configure: (given) => {
      config = given;
    },
  };
}

function droplets(connect: () => Client): Calls {
  const one = z.object({ droplet });
  const get = async (client: Client, signal: AbortSignal, id: string) =>
    (await client.call(signal, one, "GET", `/droplets/${id}`)).droplet;

  const becomes = (client: Client, signal: AbortSignal, id: string, status: string, limitSeconds: number) =>
    until(`droplet ${id} to become ${status}`, limitSeconds, signal, async () => {
      const now = await get(client, signal, id);
      return now.status === status && !now.locked ? now : undefined;
    });

  const act = async (client: Client, signal: AbortSignal, id: string, body: Properties): Promise<void> => {
    const path = `/droplets/${id}/actions`;
    const started = await client.call(signal, z.object({ action }), "POST", path, body);
    await until(`${body.type} of droplet ${id}`, actionLimitSeconds, signal, async () => {
      const now = await client.call(signal, z.object({ action }), "GET", `/actions/${started.action.id}`);
      if (now.action.status === "errored")
        throw new Error(`${body.type} of droplet ${id} failed at DigitalOcean`);
      return now.action.status === "completed" ? now : undefined;
    });
  };

  const resize = async (client: Client, signal: AbortSignal, id: string, news: Properties): Promise<void> => {
    if ((await get(client, signal, id)).status !== "off")
      await act(client, signal, id, { type: "power_off" });
    const disk = news.resizeDisk !== false;
    try {
      await act(client, signal, id, { type: "resize", size: news.size ?? "", disk });
    } finally {
      await act(client, signal, id, { type: "power_on" });
    }
  };

  return {
    create: async (inputs, { signal }) => {
      const client = connect();
      const made = await client.call(signal, one, "POST", "/droplets", {
        name: inputs.name,
        region: inputs.region,
        size: inputs.size,
        image: numberOrText(String(inputs.image)),
        ssh_keys: texts(inputs.sshKeys).map(numberOrText),
        user_data: inputs.userData,
        tags: texts(inputs.tags),
        ipv6: inputs.ipv6,
        monitoring: inputs.monitoring,
        with_droplet_agent: inputs.dropletAgent,
        vpc_uuid: inputs.vpcUuid,
      });
      const id = String(made.droplet.id);
      return {
        id,
        finish: async () => {
          await becomes(client, signal, id, "active", bootLimitSeconds);
        },
      };
    },

    read: async (id, _state, { signal }) => {
      const answer = await orGone(connect().call(signal, one, "GET", `/droplets/${id}`));
      return answer && renderDroplet(answer.droplet);
    },

    update: async ({ id, inputs }, news, changed, { signal }) => {
      const client = connect();
      if (changed.has("ipv6"))
        throw new Error("the rehearsal's stand-in does not simulate enabling IPv6 on a droplet");
      if (changed.has("size")) await resize(client, signal, id, news);
      if (changed.has("name")) await act(client, signal, id, { type: "rename", name: news.name ?? "" });
      if (changed.has("tags")) {
        const [old, wanted] = [texts(inputs.tags), texts(news.tags)];
        const body = { resources: [{ resource_id: id, resource_type: "droplet" }] };
        for (const gone of old.filter((name) => !wanted.includes(name)))
          await orGone(client.call(signal, nothing, "DELETE", `/tags/${gone}/resources`, body));
        for (const added of wanted.filter((name) => !old.includes(name))) {
          await client.call(signal, nothing, "POST", "/tags", { name: added });
          await client.call(signal, nothing, "POST", `/tags/${added}/resources`, body);
        }
      }
    },

    delete: async ({ id, inputs }, { signal }) => {
      const client = connect();
      const there = await orGone(
        until(`droplet ${id} to be unlocked`, actionLimitSeconds, signal, async () => {
          const now = await get(client, signal, id);
          return now.locked ? undefined : now;
        }),
      );
      if (there === undefined) return;
      if (inputs.gracefulShutdown && there.status !== "off")
        await act(client, signal, id, { type: "shutdown" });
      await orGone(client.call(signal, nothing, "DELETE", `/droplets/${id}`));
      await until(`droplet ${id} to be gone`, actionLimitSeconds, signal, async () =>
        (await orGone(get(client, signal, id))) === undefined ? true : undefined,
      );
    },
  };
}

function renderDroplet(now: z.infer<typeof droplet>): Properties {
  const v4 = (type: string) => now.networks.v4.find((address) => address.type === type)?.ip_address ?? "";
  return {
    name: now.name,
    dropletUrn: `do:droplet:${now.id}`,
    region: now.region.slug,
    size: now.size.slug,
    priceHourly: now.size.price_hourly,
    priceMonthly: now.size.price_monthly,
    disk: now.disk,
    vcpus: now.vcpus,
    memory: now.memory,
    status: now.status,
    locked: now.locked,
    createdAt: now.created_at,
    vpcUuid: now.vpc_uuid,
    ipv4Address: v4("public"),
    ipv4AddressPrivate: v4("private"),
    ipv6Address: now.networks.v6[0]?.ip_address ?? "",
    publicNetworking: v4("public") !== "",
    backups: now.features.includes("backups"),
    ipv6: now.features.includes("ipv6"),
    privateNetworking: now.features.includes("private_networking"),
    monitoring: now.features.includes("monitoring"),
    volumeIds: now.volume_ids,
    tags: now.tags,
  };
}

function sshKeys(connect: () => Client): Calls {
  const one = z.object({ ssh_key: sshKey });
  return {
    create: async (inputs, { signal }) => {
      const { ssh_key } = await connect().call(signal, one, "POST", "/account/keys", {
        name: inputs.name,
        public_key: inputs.publicKey,
      });
      return { id: String(ssh_key.id) };
    },
    read: async (id, _state, { signal }) => {
      const answer = await orGone(connect().call(signal, one, "GET", `/account/keys/${id}`));
      if (answer === undefined) return undefined;
      const { name, fingerprint, public_key } = answer.ssh_key;
      return { name, fingerprint, publicKey: public_key };
    },
    update: async ({ id }, news, _changed, { signal }) => {
      await connect().call(signal, nothing, "PUT", `/account/keys/${id}`, { name: news.name });
    },
    delete: async ({ id }, { signal }) => {
      await orGone(connect().call(signal, nothing, "DELETE", `/account/keys/${id}`));
    },
  };
}

function firewalls(connect: () => Client): Calls {
  const one = z.object({ firewall });
  return {
    create: async (inputs, { signal }) => {
      const made = await connect().call(signal, one, "POST", "/firewalls", firewallBody(inputs));
      return { id: made.firewall.id };
    },
    read: async (id, _state, { signal }) => {
      const answer = await orGone(connect().call(signal, one, "GET", `/firewalls/${id}`));
      return answer && renderFirewall(answer.firewall);
    },
    update: async ({ id }, news, _changed, { signal }) => {
      await connect().call(signal, nothing, "PUT", `/firewalls/${id}`, firewallBody(news));
    },
    delete: async ({ id }, { signal }) => {
      await orGone(connect().call(signal, nothing, "DELETE", `/firewalls/${id}`));
    },
  };
}

function firewallBody(inputs: Properties) {
  const endsOf = (given: Properties, side: "source" | "destination") => ({
    addresses: texts(given[`${side}Addresses`]),
    droplet_ids: numbers(given[`${side}DropletIds`]),
    tags: texts(given[`${side}Tags`]),
  });
  const ruleOf = (given: Properties) => ({
    protocol: given.protocol,
    ...(given.portRange ? { ports: given.portRange } : {}),
  });
  return {
    name: inputs.name,
    droplet_ids: numbers(inputs.dropletIds),
    tags: texts(inputs.tags),
    inbound_rules: objects(inputs.inboundRules).map((given) => ({
      ...ruleOf(given),
      sources: endsOf(given, "source"),
    })),
    outbound_rules: objects(inputs.outboundRules).map((given) => ({
      ...ruleOf(given),
      destinations: endsOf(given, "destination"),
    })),
  };
}

function renderFirewall(now: z.infer<typeof firewall>): Properties {
  const endsOf = (given: z.infer<typeof ends>, side: "source" | "destination"): Properties => ({
    ...(given.addresses.length > 0 ? { [`${side}Addresses`]: given.addresses } : {}),
    ...(given.droplet_ids.length > 0 ? { [`${side}DropletIds`]: given.droplet_ids } : {}),
    ...(given.tags?.length ? { [`${side}Tags`]: given.tags } : {}),
  });
  // The API answers "0" for all ports, and for ICMP, which has none.
  const ruleOf = ({ protocol, ports }: z.infer<typeof rule>): Properties => ({
    protocol,
    ...(protocol === "icmp" ? {} : { portRange: ports === "0" ? "all" : ports }),
  });
  return {
    name: now.name,
    status: now.status,
    createdAt: now.created_at,
    dropletIds: now.droplet_ids ?? [],
    tags: now.tags ?? [],
    pendingChanges: now.pending_changes.map(({ droplet_id, removing, status }) => ({
      dropletId: droplet_id,
      removing,
      status,
    })),
    inboundRules: (now.inbound_rules ?? []).map((each) => ({
      ...ruleOf(each),
      ...endsOf(each.sources, "source"),
    })),
    outboundRules: (now.outbound_rules ?? []).map((each) => ({
      ...ruleOf(each),
      ...endsOf(each.destinations, "destination"),
    })),
  };
}

function tags(connect: () => Client): Calls {
  const one = z.object({ tag });
  return {
    create: async (inputs, { signal }) => {
      const made = await connect().call(signal, one, "POST", "/tags", { name: inputs.name });
      return { id: made.tag.name };
    },
    read: async (id, _state, { signal }) => {
      const answer = await orGone(connect().call(signal, one, "GET", `/tags/${id}`));
      if (answer === undefined) return undefined;
      const { count, droplets: on, images, volumes, volume_snapshots, databases } = answer.tag.resources;
      return {
        name: answer.tag.name,
        totalResourceCount: count,
        dropletsCount: on.count,
        imagesCount: images.count,
        volumesCount: volumes.count,
        volumeSnapshotsCount: volume_snapshots.count,
        databasesCount: databases.count,
      };
    },
    delete: async ({ id }, { signal }) => {
      await orGone(connect().call(signal, nothing, "DELETE", `/tags/${id}`));
    },
  };
}

function numberOrText(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}
