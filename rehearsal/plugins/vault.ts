/**
 * A stand-in for Pulumi's Vault plugin: the resource types that a fleet uses, with the official replacement rules,
 * against a real Vault or OpenBao.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { Properties, ProviderDefinition, Value } from "../../provider/protocol.ts";
import { type Client, createClient, type HttpError, orGone, until } from "./client.ts";
import { type Calls, resource, setting, type Table } from "./resource.ts";

export const mountTable: Table = {
  inputs: {
    path: "update",
    type: "replace",
    description: "update",
    defaultLeaseTtlSeconds: "computed update",
    maxLeaseTtlSeconds: "computed update",
    listingVisibility: "update",
    options: "update",
    local: "replace",
    sealWrap: "computed replace",
    externalEntropyAccess: "replace",
    namespace: "replace",
  },
  required: ["path", "type"],
  defaults: { externalEntropyAccess: false },
  writeOnly: ["namespace"],
  unsupported: [
    "allowedManagedKeys",
    "allowedResponseHeaders",
    "auditNonHmacRequestKeys",
    "auditNonHmacResponseKeys",
    "delegatedAuthAccessors",
    "forceNoCache",
    "identityTokenKey",
    "passthroughRequestHeaders",
    "pluginVersion",
  ],
};

export const authBackendTable: Table = {
  inputs: {
    type: "replace",
    path: (_old, news) => {
      if (news.path === undefined) return "nothing";
      return news.disableRemount === true ? "replace" : "update";
    },
    description: "update",
    disableRemount: "update",
    local: "replace",
    tune: "computed update",
    namespace: "replace",
  },
  required: ["type"],
  defaults: { disableRemount: false },
  writeOnly: ["disableRemount", "tune", "namespace"],
  unsupported: ["identityTokenKey"],
};

export const policyTable: Table = {
  inputs: { name: "replace", policy: "update", namespace: "replace" },
  required: ["policy"],
  named: true,
  deleteFirst: true,
  writeOnly: ["namespace"],
};

/** Fields of a role: the input, and what Vault calls it. */
const roleFields = {
  bindSecretId: "bind_secret_id",
  localSecretIds: "local_secret_ids",
  secretIdBoundCidrs: "secret_id_bound_cidrs",
  secretIdNumUses: "secret_id_num_uses",
  secretIdTtl: "secret_id_ttl",
  tokenBoundCidrs: "token_bound_cidrs",
  tokenExplicitMaxTtl: "token_explicit_max_ttl",
  tokenMaxTtl: "token_max_ttl",
  tokenNoDefaultPolicy: "token_no_default_policy",
  tokenNumUses: "token_num_uses",
  tokenPeriod: "token_period",
  tokenPolicies: "token_policies",
  tokenTtl: "token_ttl",
  tokenType: "token_type",
} as const;

export const roleTable: Table = {
  inputs: {
    ...Object.fromEntries(Object.keys(roleFields).map((field) => [field, "update" as const])),
    roleName: "replace",
    backend: "replace",
    roleId: "computed update",
    namespace: "replace",
  },
  required: ["roleName"],
  defaults: { backend: "approle", bindSecretId: true, localSecretIds: false, tokenType: "default" },
  sets: ["secretIdBoundCidrs", "tokenBoundCidrs", "tokenPolicies"],
  writeOnly: ["namespace"],
  unsupported: ["aliasMetadata"],
};

const remountLimitSeconds = 60;
const data = <T extends z.ZodType>(inner: T) => z.object({ data: inner });
const nothing = z.unknown();
const auth = z.object({ auth: z.object({ client_token: z.string() }) });
const mount = z.object({
  type: z.string(),
  description: z.string(),
  accessor: z.string(),
  local: z.boolean().default(false),
  seal_wrap: z.boolean().default(false),
  external_entropy_access: z.boolean().default(false),
  options: z.record(z.string(), z.string()).nullish(),
  config: z.object({
    default_lease_ttl: z.number(),
    max_lease_ttl: z.number(),
    listing_visibility: z.string().default(""),
  }),
});

/** A connection as the provider's configuration has it, for one namespace. */
type Connect = (signal: AbortSignal, namespace: Value | undefined) => Promise<Client>;

export function vaultPlugin(): ProviderDefinition {
  let connect: Connect = () => Promise.reject(new Error("the vault provider is not configured"));
  return {
    name: "vault",
    version: "7.8.0",
    resources: {
      "vault:index/mount:Mount": resource(
        mountTable,
        mounts((...given) => connect(...given)),
      ),
      "vault:index/authBackend:AuthBackend": resource(
        authBackendTable,
        authBackends((...given) => connect(...given)),
      ),
      "vault:index/policy:Policy": resource(
        policyTable,
        policies((...given) => connect(...given)),
      ),
      "vault:appRole/authBackendRole:AuthBackendRole": resource(
        roleTable,
        roles((...given) => connect(...given)),
      ),
    },
    configure: (config) => {
      connect = connector(config);
    },
  };
}

/** Logs in at the first call, once: a preview without the server being there works, as with the official plugin. */
function connector(config: Properties): Connect {
  const address = setting(config, "address") ?? process.env.VAULT_ADDR;
  const home = setting(config, "namespace") ?? process.env.VAULT_NAMESPACE;
  let token: Promise<string> | undefined;

  const client = (headers: Record<string, string>, namespace: string | undefined): Client => {
    if (address === undefined) throw new Error("vault has no address; set vault:address or VAULT_ADDR");
    return createClient({
      service: "Vault",
      base: `${address.replace(/\/$/, "")}/v1`,
      headers: {
        ...headers,
        "x-vault-request": "true",
        ...(namespace ? { "x-vault-namespace": namespace } : {}),
      },
      reasonOf: (body) => {
        const { data: found } = z.object({ errors: z.array(z.string()) }).safeParse(body);
        return found?.errors.map((text) => text.replaceAll(/\s+/g, " ").trim()).join("; ");
      },
      retried: (status) => status === 412 || status === 429 || (status >= 500 && status !== 501),
    });
  };

  return async (signal, namespace) => {
    token ??= logIn(config, client, home, signal);
    try {
      const own = typeof namespace === "string" ? namespace : undefined;
      const within = own === undefined ? home : [home, own].filter(Boolean).join("/");
      return client({ "x-vault-token": await token }, within);
    } catch (error) {
      token = undefined;
      throw error;
    }
  };
}

async function logIn(
  config: Properties,
  client: (headers: Record<string, string>, namespace: string | undefined) => Client,
  home: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const token = await firstToken(config, client, home, signal);
  if (setting(config, "skipChildToken") === "true") return token;
  const ttl = `${setting(config, "maxLeaseTtlSeconds") ?? "1200"}s`;
  const child = await client({ "x-vault-token": token }, home).call(
    signal,
    auth,
    "POST",
    "/auth/token/create",
    {
      display_name: setting(config, "tokenName") ?? "terraform",
      ttl,
      explicit_max_ttl: ttl,
      renewable: false,
    },
  );
  return child.auth.client_token;
}

const login = z.object({
  path: z.string().optional(),
  namespace: z.string().optional(),
  parameters: z.record(z.string(), z.string()).optional(),
  mount: z.string().optional(),
  role: z.string().optional(),
  jwt: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  filename: z.string().optional(),
});

async function firstToken(
  config: Properties,
  client: (headers: Record<string, string>, namespace: string | undefined) => Client,
  home: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const kinds = Object.keys(config).filter(
    (key) => key.startsWith("authLogin") && setting(config, key) !== undefined,
  );
  const [kind] = kinds;
  if (kind === undefined) {
    const token = setting(config, "token") ?? process.env.VAULT_TOKEN;
    if (token === undefined)
      throw new Error("vault has no token; set vault:token, an authLogin or VAULT_TOKEN");
    return token;
  }
  const given = login.parse(JSON.parse(setting(config, kind) ?? "{}"));
  const post = async (path: string, body: unknown): Promise<string> => {
    const answer = await client({}, given.namespace ?? home).call(signal, auth, "POST", `/${path}`, body);
    return answer.auth.client_token;
  };
  switch (kind) {
    case "authLogin":
      return post(given.path ?? "", given.parameters ?? {});
    case "authLoginJwt": {
      const jwt = given.jwt ?? process.env.TERRAFORM_VAULT_AUTH_JWT;
      return post(`auth/${given.mount ?? "jwt"}/login`, { role: given.role, jwt });
    }
    case "authLoginUserpass":
      return post(`auth/${given.mount ?? "userpass"}/login/${given.username}`, { password: given.password });
    case "authLoginTokenFile":
      return readFileSync(given.filename ?? "", "utf8").trim();
    default:
      throw new Error(`the rehearsal's stand-in does not speak vault's ${kind}; use a token, jwt or approle`);
  }
}

/** Vault answers 400, not 404, where nothing is mounted. */
function notMounted({ status, message }: HttpError): boolean {
  return status === 404 || (status === 400 && /No (secret|auth) engine/.test(message));
}

async function remount(client: Client, signal: AbortSignal, from: string, to: string): Promise<void> {
  const started = data(z.object({ migration_id: z.string() }));
  const { migration_id } = (await client.call(signal, started, "POST", "/sys/remount", { from, to })).data;
  const status = data(z.object({ migration_info: z.object({ status: z.string() }) }));
  await until(`moving ${from} to ${to} in Vault`, remountLimitSeconds, signal, async () => {
    const now = (await client.call(signal, status, "GET", `/sys/remount/status/${migration_id}`)).data
      .migration_info;
    if (now.status === "failure") throw new Error(`Vault could not move ${from} to ${to}`);
    return now.status === "success" ? now : undefined;
  });
}

function mounts(connect: Connect): Calls {
  // A mount moves without a new id: where it is now is in its state.
  const pathOf = (id: string, state: Properties) => trimmed(state.path ?? id);
  const tuned = (inputs: Properties) => ({
    default_lease_ttl: `${inputs.defaultLeaseTtlSeconds ?? 0}s`,
    max_lease_ttl: `${inputs.maxLeaseTtlSeconds ?? 0}s`,
    ...(inputs.listingVisibility ? { listing_visibility: inputs.listingVisibility } : {}),
  });
  return {
    create: async (inputs, { signal }) => {
      const client = await connect(signal, inputs.namespace);
      const path = trimmed(inputs.path ?? "");
      await client.call(signal, nothing, "POST", `/sys/mounts/${path}`, {
        type: inputs.type,
        description: inputs.description,
        config: tuned(inputs),
        options: inputs.options,
        local: inputs.local,
        seal_wrap: inputs.sealWrap,
        external_entropy_access: inputs.externalEntropyAccess,
      });
      return { id: path };
    },
    read: async (id, state, { signal }) => {
      const client = await connect(signal, state.namespace);
      const path = pathOf(id, state);
      const now = await orGone(client.call(signal, data(mount), "GET", `/sys/mounts/${path}`), notMounted);
      return now && renderMount(path, now.data, state);
    },
    update: async (old, news, changed, { signal }) => {
      const client = await connect(signal, news.namespace);
      const [from, to] = [pathOf(old.id, old.outputs), trimmed(news.path ?? old.id)];
      if (from !== to) await remount(client, signal, from, to);
      await client.call(signal, nothing, "POST", `/sys/mounts/${to}/tune`, {
        ...tuned(news),
        options: news.options ?? {},
        ...(changed.has("description") ? { description: news.description ?? "" } : {}),
      });
    },
    delete: async ({ id, outputs }, { signal }) => {
      const client = await connect(signal, outputs.namespace);
      await orGone(client.call(signal, nothing, "DELETE", `/sys/mounts/${pathOf(id, outputs)}`), notMounted);
    },
  };
}

function renderMount(path: string, now: z.infer<typeof mount>, state: Properties): Properties {
  // Vault answers `kv` with a version for what was asked for as `kv-v2`.
  const alias = state.type === "kv-v2" && now.type === "kv" && now.options?.version === "2";
  const { version, ...others } = now.options ?? {};
  const asked = (state.options as Properties | undefined)?.version !== undefined;
  const options = alias && !asked ? others : { ...others, ...(version === undefined ? {} : { version }) };
  return {
    path,
    type: alias ? "kv-v2" : now.type,
    description: now.description,
    accessor: now.accessor,
    local: now.local,
    sealWrap: now.seal_wrap,
    externalEntropyAccess: now.external_entropy_access,
    options,
    defaultLeaseTtlSeconds: now.config.default_lease_ttl,
    maxLeaseTtlSeconds: now.config.max_lease_ttl,
    listingVisibility: now.config.listing_visibility,
  };
}

function authBackends(connect: Connect): Calls {
  const pathOf = (id: string, state: Properties) => trimmed(state.path ?? id);
  const tune = async (
    client: Client,
    signal: AbortSignal,
    path: string,
    inputs: Properties,
  ): Promise<void> => {
    const wanted = inputs.tune as Properties | undefined;
    const body = Object.entries(wanted ?? {}).map(([key, value]) => [snake(key), value]);
    const description = inputs.description ?? "";
    const route = `/sys/mounts/auth/${path}/tune`;
    await client.call(signal, nothing, "POST", route, { ...Object.fromEntries(body), description });
  };
  return {
    create: async (inputs, { signal }) => {
      const client = await connect(signal, inputs.namespace);
      const path = trimmed(inputs.path ?? inputs.type ?? "");
      const { type, description, local } = inputs;
      await client.call(signal, nothing, "POST", `/sys/auth/${path}`, { type, description, local });
      return {
        id: path,
        finish: () => (inputs.tune ? tune(client, signal, path, inputs) : Promise.resolve()),
      };
    },
    read: async (id, state, { signal }) => {
      const client = await connect(signal, state.namespace);
      const path = pathOf(id, state);
      const now = await orGone(client.call(signal, data(mount), "GET", `/sys/auth/${path}`), notMounted);
      if (now === undefined) return undefined;
      const { type, description, local, accessor } = now.data;
      return { path, type, description, local, accessor };
    },
    update: async (old, news, changed, { signal }) => {
      const client = await connect(signal, news.namespace);
      const [from, to] = [pathOf(old.id, old.outputs), trimmed(news.path ?? old.id)];
      if (from !== to) await remount(client, signal, `auth/${from}`, `auth/${to}`);
      if (changed.has("tune") || changed.has("description")) await tune(client, signal, to, news);
    },
    delete: async ({ id, outputs }, { signal }) => {
      const client = await connect(signal, outputs.namespace);
      await orGone(client.call(signal, nothing, "DELETE", `/sys/auth/${pathOf(id, outputs)}`), notMounted);
    },
  };
}

function policies(connect: Connect): Calls {
  const put = async (inputs: Properties, signal: AbortSignal) => {
    const client = await connect(signal, inputs.namespace);
    await client.call(signal, nothing, "PUT", `/sys/policies/acl/${inputs.name}`, { policy: inputs.policy });
  };
  return {
    create: async (inputs, { signal }) => {
      await put(inputs, signal);
      return { id: String(inputs.name) };
    },
    read: async (id, state, { signal }) => {
      const client = await connect(signal, state.namespace);
      const shape = data(z.object({ policy: z.string() }));
      const now = await orGone(client.call(signal, shape, "GET", `/sys/policies/acl/${id}`));
      return now && { name: id, policy: now.data.policy };
    },
    update: (_old, news, _changed, { signal }) => put(news, signal),
    delete: async ({ id, outputs }, { signal }) => {
      const client = await connect(signal, outputs.namespace);
      await orGone(client.call(signal, nothing, "DELETE", `/sys/policies/acl/${id}`));
    },
  };
}

function roles(connect: Connect): Calls {
  const empty = (field: string): Value => {
    if (/Cidrs$|Policies$/.test(field)) return [];
    return field === "tokenNoDefaultPolicy" ? false : 0;
  };
  const setRoleId = async (client: Client, signal: AbortSignal, id: string, roleId: Value) => {
    await client.call(signal, nothing, "POST", `/${id}/role-id`, { role_id: roleId });
  };
  return {
    create: async (inputs, { signal }) => {
      const client = await connect(signal, inputs.namespace);
      const id = `auth/${trimmed(inputs.backend ?? "approle")}/role/${inputs.roleName}`;
      const given = Object.entries(roleFields).filter(([field]) => inputs[field] !== undefined);
      const body = Object.fromEntries(given.map(([field, name]) => [name, inputs[field]]));
      await client.call(signal, nothing, "POST", `/${id}`, body);
      const { roleId } = inputs;
      return { id, finish: () => (roleId ? setRoleId(client, signal, id, roleId) : Promise.resolve()) };
    },
    read: async (id, state, { signal }) => {
      const client = await connect(signal, state.namespace);
      const shape = data(z.record(z.string(), z.json()));
      const now = await orGone(client.call(signal, shape, "GET", `/${id}`));
      if (now === undefined) return undefined;
      const roleId = data(z.object({ role_id: z.string() }));
      const { role_id } = (await client.call(signal, roleId, "GET", `/${id}/role-id`)).data;
      const [, backend = "", roleName = ""] = /^auth\/(.+)\/role\/(.+)$/.exec(id) ?? [];
      const fields = Object.entries(roleFields).map(([field, name]) => [
        field,
        now.data[name] ?? empty(field),
      ]);
      return { ...Object.fromEntries(fields), backend, roleName, roleId: role_id };
    },
    update: async ({ id }, news, changed, { signal }) => {
      const client = await connect(signal, news.namespace);
      const altered = Object.entries(roleFields).filter(([field]) => changed.has(field));
      const body = Object.fromEntries(altered.map(([field, name]) => [name, news[field] ?? empty(field)]));
      await client.call(signal, nothing, "POST", `/${id}`, body);
      if (changed.has("roleId") && news.roleId) await setRoleId(client, signal, id, news.roleId);
    },
    delete: async ({ id, outputs }, { signal }) => {
      const client = await connect(signal, outputs.namespace);
      await orGone(client.call(signal, nothing, "DELETE", `/${id}`));
    },
  };
}

function trimmed(path: Value): string {
  return String(path).replaceAll(/^\/+|\/+$/g, "");
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
