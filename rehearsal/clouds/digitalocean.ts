/** A stand-in for the DigitalOcean API: keeps state in the world and boots a machine when a droplet is created. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { World } from "../world.ts";
import {
  type Action,
  actionBody,
  type Droplet,
  dropletBody,
  type Firewall,
  type FirewallSpec,
  firewallBody,
  keyBody,
  resourcesBody,
  rulesBody,
  type SshKey,
  type State,
  tagName,
} from "./digitalocean-api.ts";
import {
  type Image,
  images,
  type Region,
  regions,
  renderImage,
  renderRegion,
  renderSize,
  type Size,
  sizes,
} from "./digitalocean-catalog.ts";
import {
  type ApiAnswer,
  ApiError,
  type ApiRequest,
  notFound,
  parseBody,
  type Serving,
  serveApi,
} from "./http.ts";
import { type Machines, publicAddress } from "./machine.ts";
import { sshFingerprint } from "./ssh-fingerprint.ts";

export interface DigitalOceanOptions extends Machines {
  /** How long an action without work of its own is `in-progress`. Default 400. */
  readonly actionMs?: number;
  /** Default 10 000. */
  readonly slowMs?: number;
}

export async function startDigitalOcean(world: World, options: DigitalOceanOptions): Promise<Serving> {
  const { actionMs = 400, slowMs = 10_000 } = options;
  const state = world.load<State>("digitalocean", {
    nextId: 410_000_001,
    addressesGiven: 0,
    droplets: [],
    actions: [],
    sshKeys: [],
    firewalls: [],
    tags: [],
  });
  let closed = false;

  const save = () => world.save("digitalocean", state);
  const newId = () => state.nextId++;
  const now = () => new Date().toISOString().replace(/\.\d+/, "");

  // ——— actions: what takes a moment ———

  const start = (type: string, droplet: Droplet, target?: Action["target"]): Action => {
    const action: Action = {
      id: newId(),
      type,
      droplet: droplet.id,
      region: droplet.region,
      started: now(),
      ...(target === undefined ? {} : { target }),
      status: "in-progress",
      completed: null,
    };
    state.actions.push(action);
    // When the request is saved: work that outlived what asked for it would belong to nobody.
    void Promise.resolve().then(() => perform(action));
    return action;
  };

  /** Does an action's work and ends it; begun again when a restart interrupted it. */
  const perform = async (action: Action): Promise<void> => {
    const droplet = state.droplets.find(({ id }) => id === action.droplet);
    let failed = false;
    try {
      if (droplet !== undefined) await Promise.all([work(action, droplet), delay(actionMs)]);
    } catch {
      failed = true;
    }
    if (closed) return;
    if (!failed && droplet !== undefined) settle(action, droplet);
    action.status = failed ? "errored" : "completed";
    action.completed = now();
    save();
  };

  const work = async ({ type }: Action, droplet: Droplet): Promise<void> => {
    const id = String(droplet.id);
    if (type === "create")
      await options.boot({
        id,
        name: droplet.name,
        address: droplet.address,
        provider: "digitalocean",
        serverType: droplet.size,
        userData: droplet.userData,
        sshKeys: droplet.sshKeys,
      });
    if (["power_off", "shutdown", "reboot", "power_cycle"].includes(type)) await options.power(id, false);
    if (["power_on", "reboot", "power_cycle"].includes(type)) await options.power(id, true);
  };

  const settle = ({ type, target }: Action, droplet: Droplet): void => {
    if (type === "power_off" || type === "shutdown") droplet.status = "off";
    if (["create", "power_on", "reboot", "power_cycle"].includes(type)) droplet.status = "active";
    if (type === "rename") droplet.name = target?.name ?? droplet.name;
    if (type === "resize") {
      droplet.size = target?.size ?? droplet.size;
      if (target?.disk) droplet.disk = sizeOf(droplet.size).disk;
    }
  };

  // ——— looking things up ———

  const sizeOf = (wanted: string): Size => {
    const size = sizes.find(({ slug }) => slug === wanted);
    if (size === undefined) throw unprocessable("You specified an invalid size for Droplet creation.");
    return size;
  };
  const regionOf = (wanted: string): Region => {
    const region = regions.find(({ slug }) => slug === wanted);
    if (region === undefined) throw unprocessable("You specified an invalid region for Droplet creation.");
    return region;
  };
  const imageOf = (wanted: string): Image => {
    const image = images.find(({ id, slug }) => String(id) === wanted || slug === wanted);
    if (image === undefined) throw unprocessable("You specified an invalid image for Droplet creation.");
    return image;
  };
  const missing = () => notFound("The resource you were accessing could not be");
  const found = <T>(item: T | undefined): T => {
    if (item === undefined) throw missing();
    return item;
  };
  const dropletOf = ({ params }: ApiRequest): Droplet =>
    found(state.droplets.find(({ id }) => String(id) === params.droplet_id));
  const keyOf = ({ params }: ApiRequest): SshKey =>
    found(state.sshKeys.find(({ id, fingerprint }) => [String(id), fingerprint].includes(params.key ?? "")));
  const firewallOf = ({ params }: ApiRequest): Firewall =>
    found(state.firewalls.find(({ id }) => id === params.firewall_id));
  const tagOf = ({ params }: ApiRequest): string => found(state.tags.find((tag) => tag === params.tag));
  const actionOf = ({ params }: ApiRequest): Action =>
    found(state.actions.find(({ id }) => String(id) === params.action_id));

  const knowTags = (tags: readonly string[]) => {
    for (const tag of tags) if (!state.tags.includes(tag)) state.tags.push(tag);
  };

  // ——— rendering ———

  const renderDroplet = (droplet: Droplet) => {
    const { vcpus, memory } = sizeOf(droplet.size);
    const up = droplet.status !== "new";
    return {
      id: droplet.id,
      name: droplet.name,
      memory,
      vcpus,
      disk: droplet.disk,
      disk_info: [{ type: "local", size: { amount: droplet.disk, unit: "gib" } }],
      locked: state.actions.some(({ status, droplet: id }) => status === "in-progress" && id === droplet.id),
      status: droplet.status,
      created_at: droplet.created,
      features: droplet.features,
      backup_ids: [],
      next_backup_window: null,
      snapshot_ids: [],
      image: renderImage(imageOf(String(droplet.image))),
      volume_ids: [],
      size: renderSize(sizeOf(droplet.size)),
      size_slug: droplet.size,
      networks: {
        v4: up
          ? [
              address(droplet.privateAddress, "255.255.240.0", "10.114.0.1", "private"),
              address(droplet.address, "255.255.240.0", "203.0.113.1", "public"),
            ]
          : [],
        v6:
          up && droplet.ipv6 !== null
            ? [{ ip_address: droplet.ipv6, netmask: 64, gateway: "2001:db8:2::1", type: "public" }]
            : [],
      },
      region: renderRegion(regionOf(droplet.region)),
      tags: droplet.tags,
      vpc_uuid: droplet.vpc,
    };
  };

  const renderAction = (action: Action) => ({
    id: action.id,
    status: action.status,
    type: action.type,
    started_at: action.started,
    completed_at: action.completed,
    resource_id: action.droplet,
    resource_type: "droplet",
    region: renderRegion(regionOf(action.region)),
    region_slug: action.region,
  });

  const renderTag = (name: string) => {
    const tagged = state.droplets.filter(({ tags }) => tags.includes(name));
    const last = tagged.at(-1);
    const uri = last && `https://api.digitalocean.com/v2/droplets/${last.id}`;
    const counted = (count: number) => ({ count, ...(count > 0 && uri ? { last_tagged_uri: uri } : {}) });
    return {
      name,
      resources: {
        ...counted(tagged.length),
        droplets: counted(tagged.length),
        images: counted(0),
        volumes: counted(0),
        volume_snapshots: counted(0),
        databases: counted(0),
      },
    };
  };

  const renderFirewall = ({ id, created, settled, spec }: Firewall) => ({
    id,
    name: spec.name,
    status: settled ? "succeeded" : "waiting",
    created_at: created,
    pending_changes: settled
      ? []
      : (spec.droplet_ids ?? []).map((droplet_id) => ({ droplet_id, removing: false, status: "waiting" })),
    droplet_ids: spec.droplet_ids ?? [],
    tags: spec.tags ?? [],
    inbound_rules: (spec.inbound_rules ?? []).map(({ protocol, ports, sources }) => ({
      protocol,
      ports: portsOf(ports),
      sources: compact(sources),
    })),
    outbound_rules: (spec.outbound_rules ?? []).map(({ protocol, ports, destinations }) => ({
      protocol,
      ports: portsOf(ports),
      destinations: compact(destinations),
    })),
  });

  const list = <T>(
    key: string,
    items: readonly T[],
    { query }: ApiRequest,
    render: (item: T) => unknown,
  ): ApiAnswer => {
    const page = positive(query.get("page"), 1);
    const perPage = Math.min(200, positive(query.get("per_page"), 20));
    const lastPage = Math.max(1, Math.ceil(items.length / perPage));
    const at = (n: number) => `https://api.digitalocean.com/v2/${key}?page=${n}&per_page=${perPage}`;
    const pages = {
      ...(page < lastPage ? { next: at(page + 1), last: at(lastPage) } : {}),
      ...(page > 1 ? { first: at(1), prev: at(page - 1) } : {}),
    };
    return {
      status: 200,
      body: {
        [key]: items.slice((page - 1) * perPage, page * perPage).map(render),
        links: lastPage > 1 ? { pages } : {},
        meta: { total: items.length },
      },
    };
  };

  // ——— changing things ———

  const createDroplet = ({ body }: ApiRequest): ApiAnswer => {
    const wanted = parseBody(dropletBody, body, unprocessable);
    const size = sizeOf(wanted.size);
    const region = regionOf(wanted.region ?? "nyc3");
    const image = imageOf(wanted.image);
    const sshKeys = (wanted.ssh_keys ?? []).map((wantedKey) => {
      const key = state.sshKeys.find(
        ({ id, fingerprint }) => String(id) === wantedKey || fingerprint === wantedKey,
      );
      if (key === undefined)
        throw unprocessable(`${wantedKey} are invalid key identifiers for Droplet creation.`);
      return key.public_key;
    });
    const n = state.addressesGiven++;
    const droplet: Droplet = {
      id: newId(),
      created: now(),
      name: wanted.name,
      region: region.slug,
      image: image.id,
      address: publicAddress(1, n),
      privateAddress: `10.114.${Math.floor(n / 250)}.${(n % 250) + 2}`,
      ipv6: wanted.ipv6 ? `2001:db8:2::${(n + 2).toString(16)}` : null,
      features: [
        "private_networking",
        ...(wanted.monitoring ? ["monitoring"] : []),
        ...(wanted.ipv6 ? ["ipv6"] : []),
        ...(wanted.backups ? ["backups"] : []),
        ...(wanted.with_droplet_agent === false ? [] : ["droplet_agent"]),
      ],
      vpc: wanted.vpc_uuid ?? "760e09ef-dc84-11e8-981e-3cfdfeaae000",
      userData: wanted.user_data ?? "",
      sshKeys,
      size: size.slug,
      disk: size.disk,
      status: "new",
      tags: [...(wanted.tags ?? [])],
    };
    state.droplets.push(droplet);
    knowTags(droplet.tags);
    const action = start("create", droplet);
    save();
    const href = `https://api.digitalocean.com/v2/actions/${action.id}`;
    return {
      status: 202,
      body: {
        droplet: renderDroplet(droplet),
        links: { actions: [{ id: action.id, rel: "create", href }] },
      },
    };
  };

  /** The machine goes in the background: as in the cloud, 404 comes before the last of it is gone. */
  const removeDroplet = (droplet: Droplet): void => {
    state.droplets.splice(state.droplets.indexOf(droplet), 1);
    for (const { spec } of state.firewalls)
      spec.droplet_ids = spec.droplet_ids?.filter((id) => id !== droplet.id);
    save();
    options.remove(String(droplet.id)).catch((error: unknown) => {
      world.record({
        part: "digitalocean",
        call: "machine not removed",
        detail: `${droplet.name}: ${String(error)}`,
      });
    });
  };

  const actOnDroplet = (request: ApiRequest): ApiAnswer => {
    const droplet = dropletOf(request);
    const wanted = parseBody(actionBody, request.body, unprocessable);
    if (state.actions.some(({ status, droplet: id }) => status === "in-progress" && id === droplet.id))
      throw unprocessable("Droplet already has a pending event.");
    if (wanted.type === "power_off" && droplet.status === "off")
      throw unprocessable("Droplet is already powered off.");
    if (wanted.type === "resize") {
      const size = sizeOf(wanted.size ?? "");
      if (droplet.status !== "off") throw unprocessable("Droplet must be powered off to resize.");
      if (size.disk < droplet.disk)
        throw unprocessable("This size is not available because it has a smaller disk.");
    }
    const { type, ...target } = wanted;
    const action = start(type, droplet, compact(target));
    save();
    return { status: 201, body: { action: renderAction(action) } };
  };

  const createKey = ({ body }: ApiRequest): ApiAnswer => {
    const wanted = parseBody(keyBody, body, unprocessable);
    const fingerprint = sshFingerprint(wanted.public_key);
    if (fingerprint === undefined)
      throw unprocessable("Key invalid, key should be of the format `type key [comment]`");
    if (state.sshKeys.some((key) => key.fingerprint === fingerprint))
      throw unprocessable("SSH Key is already in use on your account");
    const key: SshKey = { id: newId(), fingerprint, public_key: wanted.public_key, name: wanted.name };
    state.sshKeys.push(key);
    save();
    return { status: 201, body: { ssh_key: key } };
  };

  const applyFirewall = (firewall: Firewall): void => {
    const { spec } = firewall;
    if (!spec.inbound_rules?.length && !spec.outbound_rules?.length)
      throw unprocessable("must have at least one rule");
    for (const id of spec.droplet_ids ?? [])
      if (!state.droplets.some((droplet) => droplet.id === id))
        throw unprocessable(`droplet ${id} not found`);
    for (const tag of spec.tags ?? [])
      if (!state.tags.includes(tag)) throw unprocessable(`tag ${tag} does not exist`);
    if (state.firewalls.some((other) => other.id !== firewall.id && other.spec.name === spec.name))
      throw new ApiError(409, "conflict", "duplicate name");
    firewall.settled = false;
    const after = async () => {
      await delay(actionMs);
      if (closed) return;
      firewall.settled = true;
      save();
    };
    void after();
  };

  const createFirewall = ({ body }: ApiRequest): ApiAnswer => {
    const firewall: Firewall = {
      id: randomUUID(),
      created: now(),
      settled: false,
      spec: parseBody(firewallBody, body, unprocessable),
    };
    applyFirewall(firewall);
    state.firewalls.push(firewall);
    save();
    return { status: 202, body: { firewall: renderFirewall(firewall) } };
  };

  const replaceFirewall = (request: ApiRequest): ApiAnswer => {
    const firewall = firewallOf(request);
    const replaced: Firewall = { ...firewall, spec: parseBody(firewallBody, request.body, unprocessable) };
    applyFirewall(replaced);
    state.firewalls.splice(state.firewalls.indexOf(firewall), 1, replaced);
    save();
    return { status: 200, body: { firewall: renderFirewall(replaced) } };
  };

  /** A change of a part of a firewall's lists. */
  const changeFirewall =
    <T>(schema: z.ZodType<T>, change: (spec: FirewallSpec, wanted: T) => FirewallSpec) =>
    (request: ApiRequest): ApiAnswer => {
      const firewall = firewallOf(request);
      const wanted = parseBody(schema, request.body, unprocessable);
      const changed: Firewall = { ...firewall, spec: change(firewall.spec, wanted) };
      applyFirewall(changed);
      state.firewalls.splice(state.firewalls.indexOf(firewall), 1, changed);
      save();
      return { status: 204 };
    };
  const dropletsBody = z.object({ droplet_ids: z.array(z.number()) });
  const tagsBody = z.object({ tags: z.array(tagName) });

  const changeTagged =
    (change: (tags: readonly string[], tag: string) => string[]) =>
    (request: ApiRequest): ApiAnswer => {
      const tag = tagOf(request);
      const { resources } = parseBody(resourcesBody, request.body, unprocessable);
      for (const { resource_id } of resources) {
        const droplet = found(state.droplets.find(({ id }) => String(id) === resource_id));
        droplet.tags = change(droplet.tags, tag);
      }
      save();
      return { status: 204 };
    };

  const routes: Record<string, (request: ApiRequest) => ApiAnswer> = {
    "GET /account": () => ({
      status: 200,
      body: {
        account: {
          droplet_limit: 500,
          floating_ip_limit: 5,
          email: "operator@example.org",
          uuid: "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
          email_verified: true,
          status: "active",
          status_message: "",
        },
      },
    }),
    "GET /regions": (request) => list("regions", regions, request, renderRegion),
    "GET /sizes": (request) => list("sizes", sizes, request, renderSize),
    "GET /images": (request) => list("images", images, request, renderImage),
    "GET /images/{image}": ({ params }) => {
      const image = images.find(({ id, slug }) => [String(id), slug].includes(params.image ?? ""));
      return { status: 200, body: { image: renderImage(found(image)) } };
    },

    "GET /account/keys": (request) => list("ssh_keys", state.sshKeys, request, (key) => key),
    "POST /account/keys": createKey,
    "GET /account/keys/{key}": (request) => ({ status: 200, body: { ssh_key: keyOf(request) } }),
    "PUT /account/keys/{key}": (request) => {
      const key = keyOf(request);
      key.name = parseBody(keyBody.pick({ name: true }), request.body, unprocessable).name;
      save();
      return { status: 200, body: { ssh_key: key } };
    },
    "DELETE /account/keys/{key}": (request) => {
      state.sshKeys.splice(state.sshKeys.indexOf(keyOf(request)), 1);
      save();
      return { status: 204 };
    },

    "GET /droplets": (request) => {
      const [name, tag] = [request.query.get("name"), request.query.get("tag_name")];
      const fitting = state.droplets.filter(
        (droplet) => (name === null || droplet.name === name) && (tag === null || droplet.tags.includes(tag)),
      );
      return list("droplets", fitting, request, renderDroplet);
    },
    "POST /droplets": createDroplet,
    "DELETE /droplets": ({ query }) => {
      const tag = query.get("tag_name");
      if (tag === null) throw unprocessable("tag_name is required");
      for (const droplet of state.droplets.filter(({ tags }) => tags.includes(tag))) removeDroplet(droplet);
      return { status: 204 };
    },
    "GET /droplets/{droplet_id}": (request) => ({
      status: 200,
      body: { droplet: renderDroplet(dropletOf(request)) },
    }),
    "DELETE /droplets/{droplet_id}": (request) => {
      removeDroplet(dropletOf(request));
      return { status: 204 };
    },
    "POST /droplets/{droplet_id}/actions": actOnDroplet,
    "GET /droplets/{droplet_id}/actions": (request) => {
      const { id } = dropletOf(request);
      const actions = state.actions.filter(({ droplet }) => droplet === id);
      return list("actions", actions, request, renderAction);
    },
    "GET /droplets/{droplet_id}/actions/{action_id}": (request) => ({
      status: 200,
      body: { action: renderAction(actionOf(request)) },
    }),
    "GET /droplets/{droplet_id}/firewalls": (request) => {
      const { id, tags } = dropletOf(request);
      const fitting = state.firewalls.filter(
        ({ spec }) => spec.droplet_ids?.includes(id) || spec.tags?.some((tag) => tags.includes(tag)),
      );
      return list("firewalls", fitting, request, renderFirewall);
    },
    "GET /actions": (request) => list("actions", state.actions, request, renderAction),
    "GET /actions/{action_id}": (request) => ({
      status: 200,
      body: { action: renderAction(actionOf(request)) },
    }),

    "GET /firewalls": (request) => list("firewalls", state.firewalls, request, renderFirewall),
    "POST /firewalls": createFirewall,
    "GET /firewalls/{firewall_id}": (request) => ({
      status: 200,
      body: { firewall: renderFirewall(firewallOf(request)) },
    }),
    "PUT /firewalls/{firewall_id}": replaceFirewall,
    "DELETE /firewalls/{firewall_id}": (request) => {
      state.firewalls.splice(state.firewalls.indexOf(firewallOf(request)), 1);
      save();
      return { status: 204 };
    },
    "POST /firewalls/{firewall_id}/droplets": changeFirewall(dropletsBody, (spec, { droplet_ids }) => ({
      ...spec,
      droplet_ids: [...new Set([...(spec.droplet_ids ?? []), ...droplet_ids])],
    })),
    "DELETE /firewalls/{firewall_id}/droplets": changeFirewall(dropletsBody, (spec, { droplet_ids }) => ({
      ...spec,
      droplet_ids: (spec.droplet_ids ?? []).filter((id) => !droplet_ids.includes(id)),
    })),
    "POST /firewalls/{firewall_id}/tags": changeFirewall(tagsBody, (spec, { tags }) => ({
      ...spec,
      tags: [...new Set([...(spec.tags ?? []), ...tags])],
    })),
    "DELETE /firewalls/{firewall_id}/tags": changeFirewall(tagsBody, (spec, { tags }) => ({
      ...spec,
      tags: (spec.tags ?? []).filter((tag) => !tags.includes(tag)),
    })),
    "POST /firewalls/{firewall_id}/rules": changeFirewall(rulesBody, (spec, added) => ({
      ...spec,
      inbound_rules: [...(spec.inbound_rules ?? []), ...(added.inbound_rules ?? [])],
      outbound_rules: [...(spec.outbound_rules ?? []), ...(added.outbound_rules ?? [])],
    })),

    "GET /tags": (request) => list("tags", state.tags, request, renderTag),
    "POST /tags": ({ body }) => {
      const { name } = parseBody(z.object({ name: tagName }), body, unprocessable);
      knowTags([name]);
      save();
      return { status: 201, body: { tag: renderTag(name) } };
    },
    "GET /tags/{tag}": (request) => ({ status: 200, body: { tag: renderTag(tagOf(request)) } }),
    "DELETE /tags/{tag}": (request) => {
      const tag = tagOf(request);
      state.tags.splice(state.tags.indexOf(tag), 1);
      for (const droplet of state.droplets) droplet.tags = droplet.tags.filter((other) => other !== tag);
      for (const { spec } of state.firewalls) spec.tags = spec.tags?.filter((other) => other !== tag);
      save();
      return { status: 204 };
    },
    "POST /tags/{tag}/resources": changeTagged((tags, tag) => [...new Set([...tags, tag])]),
    "DELETE /tags/{tag}/resources": changeTagged((tags, tag) => tags.filter((other) => other !== tag)),
  };

  for (const action of state.actions.filter(({ status }) => status === "in-progress")) void perform(action);
  for (const firewall of state.firewalls) firewall.settled = true;

  const serving = await serveApi({
    world,
    part: "digitalocean",
    prefix: "/v2",
    token: world.secret("digitalocean-token"),
    requestsPerHour: 5000,
    routes,
    creates: "POST /droplets",
    unavailable: unprocessable("Size is not available in this region."),
    codes: {
      unauthorized: "unauthorized",
      rateLimit: "too_many_requests",
      server: "server_error",
      notFound: "not_found",
    },
    renderError: ({ code, message }) => ({ id: code, message, request_id: randomUUID() }),
    describe: (_route, { params, body }) => {
      const named = z.object({ name: z.string() }).safeParse(body);
      if (named.success) return named.data.name;
      if (params.tag !== undefined) return params.tag;
      if (params.droplet_id !== undefined)
        return state.droplets.find(({ id }) => String(id) === params.droplet_id)?.name;
      if (params.firewall_id !== undefined)
        return state.firewalls.find(({ id }) => id === params.firewall_id)?.spec.name;
      return state.sshKeys.find(({ id }) => String(id) === params.key)?.name;
    },
    slowMs,
  });
  return {
    url: serving.url,
    close: async () => {
      closed = true;
      await serving.close();
    },
  };
}

function unprocessable(message: string): ApiError {
  return new ApiError(422, "unprocessable_entity", message);
}

/** The API answers 0 both for all ports and for a protocol without ports. */
function portsOf(ports: string | null | undefined): string {
  return ports === undefined || ports === null || ports === "all" ? "0" : ports;
}

function address(ip: string, netmask: string, gateway: string, type: "public" | "private") {
  return { ip_address: ip, netmask, gateway, type };
}

function positive(text: string | null, otherwise: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : otherwise;
}

/** Without the keys that hold nothing. */
function compact<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], null | undefined> } {
  const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], null | undefined> };
}
