/** The operator's stack file with what only the real world has (addresses, secrets, host keys) taken from this one. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";

export type Tree = { [key: string]: unknown };

/** What the world gives in place of the real one. */
export interface WorldValues {
  readonly vault: { readonly address: string; readonly token: string };
  /** By forge. */
  readonly forges: Readonly<
    Record<string, { readonly url: string; readonly credential: Readonly<Record<string, string>> }>
  >;
  readonly cloudTokens: { readonly hetzner: string; readonly digitalocean: string };
  readonly operator: { readonly publicKey: string; readonly privateKey: string };
  /** By host name. */
  readonly hostKeys: Readonly<Record<string, string>>;
}

/** @throws when the stack has no file. */
export function readStackConfig(repo: string, stack: string): Tree {
  const path = join(repo, `Pulumi.${stack}.yaml`);
  if (!existsSync(path)) throw new Error(`there is no ${path}; --stack names one of the Pulumi.*.yaml files`);
  return asTree(asTree(parse(readFileSync(path, "utf8"))).config);
}

/** @param set `path=value` as for `pulumi config set --path`, below `flotilla:`; the value is YAML. */
export function applySet(config: Tree, set: string): Tree {
  const at = set.indexOf("=");
  if (at < 1) throw new Error(`--set ${set}: write it as path=value, e.g. hosts.builder.count=5`);
  const [first = "", ...rest] = set.slice(0, at).split(".");
  const key = first.includes(":") ? first : `flotilla:${first}`;
  return assign(config, [key, ...rest], parse(set.slice(at + 1)));
}

export interface RehearsedConfig {
  readonly plain: Tree;
  /** By path, as for `pulumi config set --path --secret`. */
  readonly secrets: Readonly<Record<string, { readonly value: string; readonly secret: true }>>;
}

/** Replaces what points out of the world; the operator's own choices stay. */
export function rehearsedConfig(config: Tree, world: WorldValues): RehearsedConfig {
  const forges = Object.entries(asTree(config["flotilla:forges"])).map(([name, forge]) => [
    name,
    { ...asTree(forge), ...(world.forges[name] === undefined ? {} : { url: world.forges[name].url }) },
  ]);
  const hosts = Object.entries(asTree(config["flotilla:hosts"])).map(([name, host]) => [
    name,
    world.hostKeys[name] === undefined ? host : { ...asTree(host), hostKey: world.hostKeys[name] },
  ]);
  const secrets: Record<string, string> = {
    "hcloud:token": world.cloudTokens.hetzner,
    "digitalocean:token": world.cloudTokens.digitalocean,
    "flotilla:vault.auth.token": world.vault.token,
    "flotilla:credentials.ssh.privateKey": world.operator.privateKey,
  };
  for (const [forge, { credential }] of Object.entries(world.forges)) {
    for (const [key, value] of Object.entries(credential))
      secrets[`flotilla:credentials.${forge}.${key}`] = value;
  }
  const { "flotilla:credentials": _, ...others } = config;
  return {
    plain: {
      ...others,
      "flotilla:forges": Object.fromEntries(forges),
      "flotilla:hosts": Object.fromEntries(hosts),
      "flotilla:vault": { ...asTree(config["flotilla:vault"]), address: world.vault.address, auth: {} },
      "flotilla:operators": { ...asTree(config["flotilla:operators"]), rehearsal: world.operator.publicKey },
    },
    secrets: Object.fromEntries(
      Object.entries(secrets).map(([path, value]) => [path, { value, secret: true as const }]),
    ),
  };
}

/** A project that runs the repository's program and provider from the world's own directory. */
export function renderProject(repo: string): string {
  const project = asTree(parse(readFileSync(join(repo, "Pulumi.yaml"), "utf8")));
  const { main: _, ...rest } = project;
  return stringify({
    ...rest,
    runtime: "nodejs",
    plugins: { providers: [{ name: "flotilla", path: join(repo, "provider") }] },
  });
}

export function asTree(value: unknown): Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Tree) : {};
}

function assign(tree: Tree, [key = "", ...rest]: readonly string[], value: unknown): Tree {
  if (rest.length > 0) return { ...tree, [key]: assign(asTree(tree[key]), rest, value) };
  if (value === undefined) {
    const { [key]: _, ...others } = tree;
    return others;
  }
  return { ...tree, [key]: value };
}
