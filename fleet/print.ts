/**
 * `node fleet/print.ts STACK [--json]` prints the fleet of Pulumi.STACK.yaml, in the directory that it runs in, without
 * Pulumi and without a secret. The order is stable, so the fleets of two checkouts can be compared.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse, stringify } from "yaml";
import type { Fleet, Host } from "./model.ts";
import { readNixSources } from "./nix-sources.ts";
import { parseFleet } from "./parse.ts";

const nixDirectory = join(import.meta.dirname, "..", "nix");
const namespace = "flotilla:";

type Tree = Readonly<Record<string, unknown>>;

/**
 * The fleet of a stack file as it is, with placeholders for the secrets that are encrypted or not set yet.
 * @throws ConfigError with every fault of the configuration
 */
export function readPrintedFleet(directory: string, stack: string): Fleet {
  const project = readYaml(join(directory, "Pulumi.yaml"));
  const config = asTree(readYaml(join(directory, `Pulumi.${stack}.yaml`)).config);
  const defaults = Object.entries(asTree(project.config)).map(([key, value]) => [
    key,
    asTree(value).value ?? asTree(value).default,
  ]);
  const values = Object.fromEntries(
    [...defaults, ...Object.entries(config)].flatMap(([key, value]) =>
      String(key).startsWith(namespace)
        ? [[String(key).slice(namespace.length), withPlaceholders(value, "")]]
        : [],
    ),
  );
  return parseFleet(
    {
      project: String(project.name),
      stack,
      values: { ...values, ...withSecrets(values) },
      cloudTokens: new Set(["hetzner", "digitalocean"]),
    },
    readNixSources(nixDirectory),
  ).fleet;
}

/** What a reviewer compares; hosts and waves by name. */
export function summarise(fleet: Fleet) {
  const { name, sshFrom, rollout, vault, waves, hosts } = fleet;
  return {
    fleet: name,
    vault: vault.address,
    sshFrom,
    rollout,
    waves: Object.fromEntries(waves.map((wave) => [wave.name, wave.hosts])),
    hosts: Object.fromEntries(hosts.map((host) => [host.name, summariseHost(host)])),
  };
}

function summariseHost(host: Host) {
  const { name: _, group: __, identity: ___, kind, placements, revision, tags, provider, ...machine } = host;
  return {
    provider,
    ...machine,
    tags,
    kind: kind.name,
    revision,
    runners: placements.map((placement) => placement.name),
  };
}

/** `secure:` values are ciphertext to us; a private key must still look like one. */
function withPlaceholders(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return value.map((each) => withPlaceholders(each, key));
  if (typeof value !== "object" || value === null) return value;
  if ("secure" in value) return key === "privateKey" ? "PRIVATE KEY" : "secret";
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, withPlaceholders(each, name)]),
  );
}

/** Credentials that a checkout need not have: they are set where the fleet is deployed from. */
function withSecrets(values: Tree): Tree {
  const missing = { token: "secret" };
  const forges = Object.keys(asTree(values.forges)).filter((name) => name !== "ssh");
  return {
    credentials: {
      ...Object.fromEntries(forges.map((name) => [name, missing])),
      ...asTree(values.credentials),
    },
    vault: typeof values.vault === "object" ? { auth: missing, ...values.vault } : values.vault,
  };
}

function readYaml(path: string): Tree {
  if (!existsSync(path)) throw new Error(`there is no ${path}`);
  return asTree(parse(readFileSync(path, "utf8")));
}

function asTree(value: unknown): Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function main(): void {
  const { values, positionals } = parseArgs({
    options: { json: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const [stack, ...more] = positionals;
  if (stack === undefined || more.length > 0) throw new Error("usage: node fleet/print.ts STACK [--json]");
  const summary = summarise(readPrintedFleet(process.cwd(), stack));
  process.stdout.write(
    values.json
      ? `${JSON.stringify(summary, undefined, 2)}\n`
      : stringify(summary, { lineWidth: 0, aliasDuplicateObjects: false }),
  );
}

if (realpathSync(process.argv[1] ?? ".") === import.meta.filename) {
  try {
    main();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
