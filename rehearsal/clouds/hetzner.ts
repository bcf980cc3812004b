/** A stand-in for the Hetzner Cloud API: keeps state in the world and boots a machine when a server is created. */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { World } from "../world.ts";
import {
  type Action,
  changeTypeBody,
  type Firewall,
  firewallBody,
  keyBody,
  type Labels,
  protectionBody,
  type Resource,
  renameBody,
  resourceBody,
  ruleBody,
  type Server,
  type SshKey,
  type State,
  serverBody,
} from "./hetzner-api.ts";
import {
  images,
  locations,
  renderImage,
  renderLocation,
  renderServerType,
  type ServerType,
  serverTypes,
} from "./hetzner-catalog.ts";
import {
  type ApiAnswer,
  ApiError,
  type ApiRequest,
  notFound,
  parseBody,
  type Serving,
  serveApi,
} from "./http.ts";
import { matchesLabels } from "./labels.ts";
import { type Machines, publicAddress } from "./machine.ts";
import { sshFingerprint } from "./ssh-fingerprint.ts";

export interface HetznerOptions extends Machines {
  /** How long an action without work of its own is `running`. Default 400. */
  readonly actionMs?: number;
  /** Default 10 000. */
  readonly slowMs?: number;
}

export async function startHetzner(world: World, options: HetznerOptions): Promise<Serving> {
  const { actionMs = 400, slowMs = 10_000 } = options;
  const state = world.load<State>("hetzner", {
    nextId: 60_000_001,
    addressesGiven: 0,
    servers: [],
    actions: [],
    sshKeys: [],
    firewalls: [],
  });
  let closed = false;

  const save = () => world.save("hetzner", state);
  const newId = () => state.nextId++;
  const now = () => new Date().toISOString();

  // ——— actions: what takes a moment ———

  const start = (command: string, resources: Action["resources"], target?: Action["target"]): Action => {
    const action: Action = {
      id: newId(),
      command,
      started: now(),
      resources,
      ...(target === undefined ? {} : { target }),
      status: "running",
      finished: null,
      error: null,
    };
    state.actions.push(action);
    // When the request is saved: work that outlived what asked for it would belong to nobody.
    void Promise.resolve().then(() => perform(action));
    return action;
  };

  const startOnServer = (command: string, server: Server, target?: Action["target"]) =>
    start(command, [{ id: server.id, type: "server" }], target);

  /** Does an action's work and ends it; begun again when a restart interrupted it. */
  const perform = async (action: Action): Promise<void> => {
    const server = state.servers.find(({ id }) =>
      action.resources.some((r) => r.type === "server" && r.id === id),
    );
    let failure: string | undefined;
    try {
      await Promise.all([work(action, server), delay(actionMs)]);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    if (closed) return;
    if (failure === undefined) settle(action, server);
    else {
      action.error = { code: "action_failed", message: failure };
      if (server !== undefined) server.status = "off";
    }
    action.status = failure === undefined ? "success" : "error";
    action.finished = now();
    save();
  };

  const work = async (action: Action, server: Server | undefined): Promise<void> => {
    if (server === undefined) return;
    const id = String(server.id);
    const { command } = action;
    if (command === "create_server") {
      await options.boot({
        id,
        name: server.name,
        address: server.ipv4 ?? "",
        provider: "hetzner",
        serverType: server.type,
        userData: server.userData,
        sshKeys: server.sshKeys,
      });
    } else if (command === "start_server") await created(server);
    else if (command === "delete_server") await options.remove(id);
    else if (command === "stop_server" || command === "shutdown_server") await options.power(id, false);
    else if (command === "poweron_server" || command === "change_server_type") await options.power(id, true);
    else if (command === "reboot_server" || command === "reset_server") {
      await options.power(id, false);
      await options.power(id, true);
    }
  };

  /** A new server starts once it is created. */
  const created = async (server: Server): Promise<void> => {
    while (!closed) {
      const creation = state.actions.find(
        ({ command, resources }) => command === "create_server" && resources[0]?.id === server.id,
      );
      if (creation?.status === "error") throw new Error("the server was not created");
      if (creation?.status !== "running") return;
      await delay(20);
    }
  };

  const settle = (action: Action, server: Server | undefined): void => {
    if (server === undefined) return;
    const { command, target } = action;
    if (command === "delete_server") {
      state.servers.splice(state.servers.indexOf(server), 1);
      for (const firewall of state.firewalls)
        firewall.appliedTo = firewall.appliedTo.filter((resource) => resource.server?.id !== server.id);
      return;
    }
    if (server.status === "deleting") return;
    if (command === "create_server") server.status = "starting";
    else if (command === "stop_server" || command === "shutdown_server") server.status = "off";
    else if (/^(start|poweron|reboot|reset)_server$/.test(command)) server.status = "running";
    else if (command === "change_server_type" && target !== undefined) {
      server.type = target.type;
      if (target.upgradeDisk) server.diskGb = typeOf(target.type).disk;
      server.status = "running";
    }
  };

  // ——— looking things up ———

  const typeOf = (nameOrId: string): ServerType => {
    const type = serverTypes.find(({ id, name }) => name === nameOrId || String(id) === nameOrId);
    if (type === undefined) throw invalid(`server type ${nameOrId} not found`);
    return type;
  };
  const serverOf = ({ params }: ApiRequest): Server => {
    const server = state.servers.find(({ id }) => String(id) === params.id);
    if (server === undefined) throw notFound(`server with ID '${params.id}'`);
    return server;
  };
  const keyOf = ({ params }: ApiRequest): SshKey => {
    const key = state.sshKeys.find(({ id }) => String(id) === params.id);
    if (key === undefined) throw notFound(`SSH key with ID '${params.id}'`);
    return key;
  };
  const firewallOf = ({ params }: ApiRequest): Firewall => {
    const firewall = state.firewalls.find(({ id }) => String(id) === params.id);
    if (firewall === undefined) throw notFound(`firewall with ID '${params.id}'`);
    return firewall;
  };
  const actionOf = (id: string | undefined): Action => {
    const action = state.actions.find((candidate) => String(candidate.id) === id);
    if (action === undefined) throw notFound(`action with ID '${id}'`);
    return action;
  };
  const covered = (firewall: Firewall): Set<number> =>
    new Set(firewall.appliedTo.flatMap((resource) => coveredBy(resource)));
  const coveredBy = ({ server, label_selector }: Resource): number[] =>
    server
      ? [server.id]
      : state.servers
          .filter((s) => matchesLabels(s.labels, label_selector?.selector ?? ""))
          .map(({ id }) => id);

  const unique = (
    others: readonly { readonly id: number; readonly name: string }[],
    what: string,
    name: string,
  ) => {
    if (others.some((other) => other.name === name))
      throw new ApiError(409, "uniqueness_error", `${what} name is already used`, {
        fields: [{ name: "name", messages: ["must be unique"] }],
      });
  };

  // ——— rendering ———

  const renderServer = (server: Server) => {
    const location = locations.find(({ name }) => name === server.location);
    const image = images.find(({ id }) => id === server.image);
    const supported = serverTypes
      .filter((type) => type.locations.includes(server.location))
      .map(({ id }) => id);
    const where = location === undefined ? null : renderLocation(location);
    return {
      id: server.id,
      name: server.name,
      status: server.status,
      created: server.created,
      public_net: {
        ipv4:
          server.ipv4 === null
            ? null
            : {
                id: server.id + 1_000_000,
                ip: server.ipv4,
                blocked: false,
                dns_ptr: `static.${server.ipv4.split(".").reverse().join(".")}.clients.your-server.de`,
              },
        ipv6:
          server.ipv6 === null
            ? null
            : { id: server.id + 2_000_000, ip: server.ipv6, blocked: false, dns_ptr: [] },
        floating_ips: [],
        firewalls: state.firewalls
          .filter((firewall) => covered(firewall).has(server.id))
          .map(({ id }) => ({ id, status: "applied" })),
      },
      private_net: [],
      server_type: renderServerType(typeOf(server.type)),
      location: where,
      datacenter: {
        id: location?.id,
        name: `${server.location}-dc1`,
        description: `${location?.city} virtual DC 1`,
        location: where,
        server_types: { supported, available: supported, available_for_migration: supported },
      },
      image: image === undefined ? null : renderImage(image),
      iso: null,
      rescue_enabled: false,
      locked: state.actions.some(
        ({ status, resources }) => status === "running" && resources.some(({ id }) => id === server.id),
      ),
      backup_window: null,
      outgoing_traffic: 0,
      ingoing_traffic: 0,
      included_traffic: 21_990_232_555_520,
      protection: server.protection,
      labels: server.labels,
      volumes: [],
      load_balancers: [],
      primary_disk_size: server.diskGb,
      placement_group: null,
    };
  };

  const renderFirewall = (firewall: Firewall) => ({
    id: firewall.id,
    name: firewall.name,
    labels: firewall.labels,
    created: firewall.created,
    rules: firewall.rules.map((rule) => ({
      direction: rule.direction,
      protocol: rule.protocol,
      port: rule.port ?? null,
      source_ips: rule.source_ips ?? [],
      destination_ips: rule.destination_ips ?? [],
      description: rule.description ?? null,
    })),
    applied_to: firewall.appliedTo.map((resource) =>
      resource.server
        ? { type: "server", server: { id: resource.server.id } }
        : {
            type: "label_selector",
            label_selector: { selector: resource.label_selector?.selector ?? "" },
            applied_to_resources: coveredBy(resource).map((id) => ({ type: "server", server: { id } })),
          },
    ),
  });

  const matching = <T extends { readonly name: string; readonly labels?: Labels }>(
    items: readonly T[],
    q: URLSearchParams,
  ) =>
    items.filter(
      (item) =>
        (!q.has("name") || q.get("name") === item.name) &&
        matchesLabels(item.labels ?? {}, q.get("label_selector") ?? ""),
    );

  const listActions = (actions: readonly Action[], query: URLSearchParams): ApiAnswer => {
    const ids = query.getAll("id");
    const statuses = query.getAll("status");
    const wanted = actions.filter(
      ({ id, status }) =>
        (ids.length === 0 || ids.includes(String(id))) &&
        (statuses.length === 0 || statuses.includes(status)),
    );
    return list("actions", wanted, query, renderAction);
  };

  // ——— changing things ———

  const createServer = ({ body }: ApiRequest): ApiAnswer => {
    const wanted = parseBody(serverBody, body, invalid);
    unique(state.servers, "server", wanted.name);
    const type = typeOf(wanted.server_type);
    const location = wanted.location ?? type.locations[0] ?? "";
    if (!locations.some(({ name }) => name === location)) throw invalid(`location ${location} not found`);
    if (!type.locations.includes(location)) throw invalid("unsupported location for server type");
    const image = images.find(
      ({ id, name, architecture }) =>
        String(id) === wanted.image || (name === wanted.image && architecture === type.architecture),
    );
    if (image === undefined) throw invalid(`image ${wanted.image} not found`);
    if (image.architecture !== type.architecture)
      throw invalid("the image's architecture does not match the server type's");
    const sshKeys = (wanted.ssh_keys ?? []).map((wantedKey) => {
      const key = state.sshKeys.find(({ id, name }) => String(id) === wantedKey || name === wantedKey);
      if (key === undefined) throw invalid(`SSH key ${wantedKey} not found`);
      return key.public_key;
    });
    const firewalls = (wanted.firewalls ?? []).map(({ firewall }) =>
      firewallOf({ params: { id: String(firewall) }, query: new URLSearchParams(), body: undefined }),
    );

    const n = state.addressesGiven++;
    const server: Server = {
      id: newId(),
      created: now(),
      name: wanted.name,
      type: type.name,
      location,
      image: image.id,
      ipv4: (wanted.public_net?.enable_ipv4 ?? true) ? publicAddress(0, n) : null,
      ipv6: (wanted.public_net?.enable_ipv6 ?? true) ? `2001:db8:1:${(n + 1).toString(16)}::/64` : null,
      userData: wanted.user_data ?? "",
      sshKeys,
      labels: wanted.labels ?? {},
      diskGb: type.disk,
      status: "initializing",
      protection: { delete: false, rebuild: false },
    };
    state.servers.push(server);
    for (const firewall of firewalls) firewall.appliedTo.push({ type: "server", server: { id: server.id } });
    const action = startOnServer("create_server", server);
    const next = startOnServer("start_server", server);
    save();
    return {
      status: 201,
      body: {
        server: renderServer(server),
        action: renderAction(action),
        next_actions: [renderAction(next)],
        root_password: sshKeys.length === 0 ? "rehearsal" : null,
      },
    };
  };

  const serverAction =
    (command: string, before: Server["status"], allowed?: (server: Server) => void) =>
    (request: ApiRequest): ApiAnswer => {
      const server = serverOf(request);
      allowed?.(server);
      server.status = before;
      const action = startOnServer(command, server);
      save();
      return { status: 201, body: { action: renderAction(action) } };
    };

  const changeType = (request: ApiRequest): ApiAnswer => {
    const server = serverOf(request);
    const wanted = parseBody(changeTypeBody, request.body, invalid);
    const type = typeOf(wanted.server_type);
    if (server.status !== "off")
      throw new ApiError(422, "server_not_stopped", "server must be stopped before changing its type");
    if (type.architecture !== typeOf(server.type).architecture || type.disk < server.diskGb)
      throw new ApiError(
        422,
        "invalid_server_type",
        "server type does not fit: architecture differs or disk is smaller",
      );
    server.status = "migrating";
    const action = startOnServer("change_server_type", server, {
      type: type.name,
      upgradeDisk: wanted.upgrade_disk,
    });
    save();
    return { status: 201, body: { action: renderAction(action) } };
  };

  const createKey = ({ body }: ApiRequest): ApiAnswer => {
    const wanted = parseBody(keyBody, body, invalid);
    const fingerprint = sshFingerprint(wanted.public_key);
    if (fingerprint === undefined) throw invalid("invalid input in field 'public_key': is no public key");
    unique(state.sshKeys, "SSH key", wanted.name);
    if (state.sshKeys.some((key) => key.fingerprint === fingerprint))
      throw new ApiError(409, "uniqueness_error", "SSH key with the same fingerprint already exists");
    const key: SshKey = {
      id: newId(),
      created: now(),
      name: wanted.name,
      fingerprint,
      public_key: wanted.public_key,
      labels: wanted.labels ?? {},
    };
    state.sshKeys.push(key);
    save();
    return { status: 201, body: { ssh_key: key } };
  };

  const createFirewall = ({ body }: ApiRequest): ApiAnswer => {
    const wanted = parseBody(firewallBody, body, invalid);
    unique(state.firewalls, "firewall", wanted.name);
    const firewall: Firewall = {
      id: newId(),
      created: now(),
      name: wanted.name,
      labels: wanted.labels ?? {},
      rules: wanted.rules ?? [],
      appliedTo: [],
    };
    state.firewalls.push(firewall);
    const actions = [start("set_firewall_rules", [{ id: firewall.id, type: "firewall" }])];
    if (wanted.apply_to) actions.push(...apply(firewall, wanted.apply_to));
    save();
    return { status: 201, body: { firewall: renderFirewall(firewall), actions: actions.map(renderAction) } };
  };

  const apply = (firewall: Firewall, resources: readonly Resource[]): Action[] =>
    resources.map((resource) => {
      const { server } = resource;
      if (server && !state.servers.some(({ id }) => id === server.id))
        throw new ApiError(404, "firewall_resource_not_found", `server ${server.id} not found`);
      if (!firewall.appliedTo.some((other) => sameResource(other, resource)))
        firewall.appliedTo.push(resource);
      return start("apply_firewall", [{ id: firewall.id, type: "firewall" }, ...serverResource(resource)]);
    });

  const release = (firewall: Firewall, resources: readonly Resource[]): Action[] =>
    resources.map((resource) => {
      if (!firewall.appliedTo.some((other) => sameResource(other, resource)))
        throw new ApiError(
          422,
          "firewall_resource_not_found",
          "the firewall is not applied to this resource",
        );
      firewall.appliedTo = firewall.appliedTo.filter((other) => !sameResource(other, resource));
      return start("remove_firewall", [{ id: firewall.id, type: "firewall" }, ...serverResource(resource)]);
    });

  const firewallAction =
    <T>(schema: z.ZodType<T>, change: (firewall: Firewall, wanted: T) => Action[]) =>
    (request: ApiRequest): ApiAnswer => {
      const actions = change(firewallOf(request), parseBody(schema, request.body, invalid));
      save();
      return { status: 201, body: { actions: actions.map(renderAction) } };
    };

  const rename = (
    { body }: ApiRequest,
    item: { readonly id: number; name: string; labels: Labels },
    siblings: readonly { readonly id: number; readonly name: string }[],
    what: string,
  ): void => {
    const wanted = parseBody(renameBody, body, invalid);
    const others = siblings.filter(({ id }) => id !== item.id);
    if (wanted.name) {
      unique(others, what, wanted.name);
      item.name = wanted.name;
    }
    if (wanted.labels) item.labels = wanted.labels;
    save();
  };

  const routes: Record<string, (request: ApiRequest) => ApiAnswer> = {
    "GET /locations": ({ query }) => list("locations", matching(locations, query), query, renderLocation),
    "GET /locations/{id}": ({ params }) => one("location", pick(locations, params.id), renderLocation),
    "GET /server_types": ({ query }) =>
      list("server_types", matching(serverTypes, query), query, renderServerType),
    "GET /server_types/{id}": ({ params }) =>
      one("server_type", pick(serverTypes, params.id), renderServerType),
    "GET /images": ({ query }) => {
      const architectures = query.getAll("architecture");
      const fitting = images.filter(
        ({ architecture }) => architectures.length === 0 || architectures.includes(architecture),
      );
      return list("images", matching(fitting, query), query, renderImage);
    },
    "GET /images/{id}": ({ params }) => one("image", pick(images, params.id), renderImage),

    "GET /actions": ({ query }) => listActions(state.actions, query),
    "GET /actions/{id}": ({ params }) => one("action", actionOf(params.id), renderAction),
    "GET /servers/actions": ({ query }) => listActions(state.actions, query),
    "GET /servers/{id}/actions": ({ params, query }) =>
      listActions(
        state.actions.filter(({ resources }) => resources.some(({ id }) => String(id) === params.id)),
        query,
      ),
    "GET /servers/{id}/actions/{action_id}": ({ params }) =>
      one("action", actionOf(params.action_id), renderAction),

    "GET /servers": ({ query }) => {
      const statuses = query.getAll("status");
      const fitting = state.servers.filter(
        ({ status }) => statuses.length === 0 || statuses.includes(status),
      );
      return list("servers", matching(fitting, query), query, renderServer);
    },
    "POST /servers": createServer,
    "GET /servers/{id}": (request) => one("server", serverOf(request), renderServer),
    "PUT /servers/{id}": (request) => {
      const server = serverOf(request);
      rename(request, server, state.servers, "server");
      return one("server", server, renderServer);
    },
    "DELETE /servers/{id}": (request) => {
      const server = serverOf(request);
      if (server.protection.delete) throw new ApiError(423, "protected", "server deletion is protected");
      const { body } = serverAction("delete_server", "deleting")(request);
      return { status: 200, body };
    },
    "POST /servers/{id}/actions/change_type": changeType,
    "POST /servers/{id}/actions/poweron": serverAction("poweron_server", "starting"),
    "POST /servers/{id}/actions/poweroff": serverAction("stop_server", "stopping"),
    "POST /servers/{id}/actions/shutdown": serverAction("shutdown_server", "stopping"),
    "POST /servers/{id}/actions/reboot": serverAction("reboot_server", "starting"),
    "POST /servers/{id}/actions/reset": serverAction("reset_server", "starting"),
    "POST /servers/{id}/actions/change_protection": (request) => {
      const server = serverOf(request);
      const wanted = parseBody(protectionBody, request.body, invalid);
      server.protection = {
        delete: wanted.delete ?? server.protection.delete,
        rebuild: wanted.rebuild ?? server.protection.rebuild,
      };
      const action = startOnServer("change_protection", server);
      save();
      return { status: 201, body: { action: renderAction(action) } };
    },

    "GET /ssh_keys": ({ query }) => {
      const fingerprint = query.get("fingerprint");
      const fitting = state.sshKeys.filter((key) => fingerprint === null || key.fingerprint === fingerprint);
      return list("ssh_keys", matching(fitting, query), query, (key) => key);
    },
    "POST /ssh_keys": createKey,
    "GET /ssh_keys/{id}": (request) => one("ssh_key", keyOf(request), (key) => key),
    "PUT /ssh_keys/{id}": (request) => {
      const key = keyOf(request);
      rename(request, key, state.sshKeys, "SSH key");
      return one("ssh_key", key, (k) => k);
    },
    "DELETE /ssh_keys/{id}": (request) => {
      state.sshKeys.splice(state.sshKeys.indexOf(keyOf(request)), 1);
      save();
      return { status: 204 };
    },

    "GET /firewalls": ({ query }) =>
      list("firewalls", matching(state.firewalls, query), query, renderFirewall),
    "POST /firewalls": createFirewall,
    "GET /firewalls/{id}": (request) => one("firewall", firewallOf(request), renderFirewall),
    "PUT /firewalls/{id}": (request) => {
      const firewall = firewallOf(request);
      rename(request, firewall, state.firewalls, "firewall");
      return one("firewall", firewall, renderFirewall);
    },
    "DELETE /firewalls/{id}": (request) => {
      const firewall = firewallOf(request);
      if (firewall.appliedTo.length > 0)
        throw new ApiError(422, "resource_in_use", `firewall with ID '${firewall.id}' is still in use`);
      state.firewalls.splice(state.firewalls.indexOf(firewall), 1);
      save();
      return { status: 204 };
    },
    "POST /firewalls/{id}/actions/set_rules": firewallAction(
      z.object({ rules: z.array(ruleBody).max(50) }),
      (firewall, { rules }) => {
        firewall.rules = rules;
        return [start("set_firewall_rules", [{ id: firewall.id, type: "firewall" }])];
      },
    ),
    "POST /firewalls/{id}/actions/apply_to_resources": firewallAction(
      z.object({ apply_to: z.array(resourceBody) }),
      (firewall, { apply_to }) => apply(firewall, apply_to),
    ),
    "POST /firewalls/{id}/actions/remove_from_resources": firewallAction(
      z.object({ remove_from: z.array(resourceBody) }),
      (firewall, { remove_from }) => release(firewall, remove_from),
    ),
  };

  for (const action of state.actions.filter(({ status }) => status === "running")) void perform(action);

  const serving = await serveApi({
    world,
    part: "hetzner",
    prefix: "/v1",
    token: world.secret("hetzner-token"),
    requestsPerHour: 3600,
    routes,
    creates: "POST /servers",
    unavailable: new ApiError(412, "resource_unavailable", "server location or type is out of stock"),
    codes: {
      unauthorized: "unauthorized",
      rateLimit: "rate_limit_exceeded",
      server: "service_error",
      notFound: "not_found",
    },
    renderError: ({ code, message, details }) => ({ error: { code, message, details } }),
    describe: (route, { params, body }) => {
      const named = z.object({ name: z.string() }).safeParse(body);
      if (named.success) return named.data.name;
      const [, kind] = route.split(/[ /]+/);
      const items = { servers: state.servers, ssh_keys: state.sshKeys, firewalls: state.firewalls }[
        kind ?? ""
      ];
      return items?.find(({ id }) => String(id) === params.id)?.name;
    },
    slowMs,
  });
  return {
    url: `${serving.url}/v1`,
    close: async () => {
      closed = true;
      await serving.close();
    },
  };
}

function invalid(message: string): ApiError {
  return new ApiError(422, "invalid_input", message);
}

function pick<T extends { readonly id: number; readonly name: string }>(
  items: readonly T[],
  id: string | undefined,
): T {
  const item = items.find((candidate) => String(candidate.id) === id);
  if (item === undefined) throw notFound(`item with ID '${id}'`);
  return item;
}

function one<T>(key: string, item: T, render: (item: T) => unknown): ApiAnswer {
  return { status: 200, body: { [key]: render(item) } };
}

function list<T>(
  key: string,
  items: readonly T[],
  query: URLSearchParams,
  render: (item: T) => unknown,
): ApiAnswer {
  const page = positive(query.get("page"), 1);
  const perPage = Math.min(50, positive(query.get("per_page"), 25));
  const lastPage = Math.max(1, Math.ceil(items.length / perPage));
  return {
    status: 200,
    body: {
      [key]: items.slice((page - 1) * perPage, page * perPage).map(render),
      meta: {
        pagination: {
          page,
          per_page: perPage,
          previous_page: page > 1 ? page - 1 : null,
          next_page: page < lastPage ? page + 1 : null,
          last_page: lastPage,
          total_entries: items.length,
        },
      },
    },
  };
}

function positive(text: string | null, otherwise: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : otherwise;
}

function renderAction(action: Action) {
  return {
    id: action.id,
    command: action.command,
    status: action.status,
    progress: action.status === "running" ? 50 : 100,
    started: action.started,
    finished: action.finished,
    resources: action.resources,
    error: action.error,
  };
}

function serverResource({ server }: Resource): Action["resources"] {
  return server ? [{ id: server.id, type: "server" }] : [];
}

function sameResource(a: Resource, b: Resource): boolean {
  return a.server?.id === b.server?.id && a.label_selector?.selector === b.label_selector?.selector;
}
