/** The hunt: every secret of a world, and every place a rehearsal leaves where one may not stand in clear. */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Rehearsal } from "../../rehearsal/rehearsal.ts";

export interface Secret {
  readonly name: string;
  readonly value: string;
}

/** A secret's value is worthless as a needle when it is short or ordinary. */
const shortest = 16;

/** What the world itself knows: the operator's credentials, Vault's keys, and what each host holds in its 0400 files. */
export async function secretsOf(rehearsal: Rehearsal, decrypted: unknown): Promise<Secret[]> {
  const { values, vault } = rehearsal.parts;
  const fromVault = await vaultSecrets(vault.address, vault.token);
  const fromState = stateSecrets(decrypted);
  const fromHosts = rehearsal.parts.hosts
    .list()
    .flatMap(({ name, root }) =>
      ["var/lib/flotilla/approle/secret-id", "etc/ssh/ssh_host_ed25519_key"].flatMap((path) =>
        readIfThere(join(root, path), `${name}:${path}`),
      ),
    );
  const given = [
    { name: "hetzner token", value: values.cloudTokens.hetzner },
    { name: "digitalocean token", value: values.cloudTokens.digitalocean },
    { name: "operator's key", value: values.operator.privateKey },
    { name: "vault token", value: vault.token },
    ...Object.entries(values.forges).flatMap(([forge, { credential }]) =>
      Object.entries(credential).map(([key, value]) => ({ name: `${forge} ${key}`, value })),
    ),
  ];
  return [...given, ...fromVault, ...fromState, ...fromHosts]
    .flatMap(({ name, value }) => needles(value).map((needle) => ({ name, value: needle })))
    .filter(({ value }) => value.length >= shortest);
}

/** The credentials that forges gave to runners: they may not be in the state, not even encrypted. */
export async function runnerSecrets(rehearsal: Rehearsal): Promise<Secret[]> {
  return vaultSecrets(rehearsal.parts.vault.address, rehearsal.parts.vault.token);
}

/** `secret in file`, for every secret that stands in clear in a file below the directory. */
export function findSecrets(
  directory: string,
  secrets: readonly Secret[],
  allowed: (path: string, mode: number) => boolean,
): string[] {
  return filesBelow(directory).flatMap((path) => {
    const name = relative(directory, path);
    const { mode } = lstatSync(path);
    if (allowed(name, mode & 0o777)) return [];
    const text = readFileSync(path, "latin1");
    return secrets.filter(({ value }) => text.includes(value)).map((secret) => `${secret.name} in ${name}`);
  });
}

/**
 * A private key in a file may be folded or escaped, so its lines are looked for; the first ones of an OpenSSH key are the
 * same in all keys, or public.
 */
function needles(value: string): string[] {
  const [, body] = /-----BEGIN [A-Z ]*PRIVATE KEY-----([^-]+)-----END/.exec(value) ?? [];
  if (body === undefined) return [value];
  return body
    .split(/\\n|\n/)
    .filter((line) => line.length > 20)
    .slice(2);
}

async function vaultSecrets(address: string, token: string): Promise<Secret[]> {
  const headers = { "x-vault-token": token };
  const get = async (path: string): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${address}/v1/${path}`, { headers });
    return ((await answer.json()) as { data?: Record<string, unknown> }).data ?? {};
  };
  const keys = async (path: string) => ((await get(`${path}?list=true`)).keys as string[] | undefined) ?? [];
  const found: Secret[] = [];
  for (const host of await keys("secret/metadata/hosts")) {
    for (const runner of await keys(`secret/metadata/hosts/${host}`)) {
      const data = (await get(`secret/data/hosts/${host}${runner}`)).data as
        | Record<string, string>
        | undefined;
      found.push({ name: `${host}${runner}`, value: data?.token ?? "" });
    }
  }
  return found;
}

const secretMark = "4dabf18193072939515e22adb298388d";

/** Every value that a decrypted state marks as secret. */
function stateSecrets(value: unknown, path = "state"): Secret[] {
  if (Array.isArray(value)) return value.flatMap((each, index) => stateSecrets(each, `${path}.${index}`));
  if (typeof value !== "object" || value === null) return [];
  if (secretMark in value && "plaintext" in value) {
    const text: unknown = JSON.parse(String(value.plaintext));
    return typeof text === "string" ? [{ name: path, value: text }] : [];
  }
  return Object.entries(value).flatMap(([key, each]) => stateSecrets(each, `${path}.${key}`));
}

function readIfThere(path: string, name: string): Secret[] {
  try {
    return [{ name, value: readFileSync(path, "utf8").trim() }];
  } catch {
    return [];
  }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}
