/** The shape of the configuration. What is checked here needs no other part of the fleet. */
import { z } from "zod";

const name = z
  .string()
  .regex(
    /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/,
    "must be lower-case letters, digits and dashes, at most 40, starting with a letter",
  );

const publicKey = z
  .string()
  .regex(
    /^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+( .*)?$/,
    'is not an SSH public key; give its whole line, e.g. "ssh-ed25519 AAAA…"',
  );

const cidr = z.union([z.cidrv4(), z.cidrv6()], 'is not a network; write e.g. "203.0.113.4/32"');

const url = z
  .url({ protocol: /^https?$/, error: "is not an http(s) address" })
  .transform((text) => text.replace(/\/+$/, ""));

const groupBase = {
  /** Hosts in the group. Absent: one host that bears the group's name. */
  count: z.int().min(0).max(1000).optional(),
  tags: z.array(name).min(1),
  /** A new value replaces the group's machines: it is the consent to do so. */
  generation: z.int().min(1).default(1),
  /** The same for single hosts of the group, by name. */
  generations: z.record(z.string(), z.int().min(1)).default({}),
  /** A layout of `nix/disks`, or the absolute path of a device. */
  disk: z.string().min(1).optional(),
};

const hetznerGroup = z.strictObject({
  provider: z.literal("hetzner"),
  type: z.string().min(1),
  location: z.string().min(1),
  ...groupBase,
});

const digitalOceanGroup = z.strictObject({
  provider: z.literal("digitalocean"),
  size: z.string().min(1),
  region: z.string().min(1),
  ...groupBase,
});

const existingGroup = z.strictObject({
  provider: z.literal("existing"),
  address: z.union([z.ipv4(), z.ipv6(), z.hostname()], "is neither an IP address nor a host name"),
  sshPort: z.int().min(1).max(65535).default(22),
  hostKey: publicKey,
  system: z.enum(["x86_64-linux", "aarch64-linux"]).default("x86_64-linux"),
  /** Consent to wipe the disk and install; a new value wipes and installs again. */
  installId: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
      "must be letters, digits, dots, dashes and underscores, at most 64",
    )
    .refine((id) => id !== "adopted", "is what adopted machines have; choose another")
    .optional(),
  /** Takes a machine that runs NixOS already as it is. */
  adopt: z.boolean().default(false),
  tags: groupBase.tags,
  disk: groupBase.disk,
});

export const hostsSchema = z.record(
  name,
  z.discriminatedUnion("provider", [hetznerGroup, digitalOceanGroup, existingGroup]),
);

const label = z
  .string()
  .regex(/^[^\s,]+$/, "has a comma or a space, which forges take for the end of a label; write two labels");

const scope = z
  .strictObject({
    repo: z
      .string()
      .regex(/^[\w.-]+\/[\w.-]+$/, "is not owner/name")
      .optional(),
    user: z.string().min(1).optional(),
    org: z.string().min(1).optional(),
    enterprise: z.string().min(1).optional(),
    instance: z.literal(true).optional(),
  })
  .refine(
    (scopes) => Object.keys(scopes).length === 1,
    "must name exactly one of repo, user, org, enterprise, instance",
  );

export const runnersSchema = z.record(
  name,
  z.strictObject({
    forge: z.string(),
    scope,
    /** Tags; a host with any of them carries the runner. */
    on: z.array(name).min(1),
    /** Default: the runner's name. */
    labels: z.array(label).min(1).optional(),
    isolation: z.enum(["host", "container", "nspawn", "microvm"]).default("host"),
    /** A fresh runner for each job. Default: true for microvm, else false. */
    ephemeral: z.boolean().optional(),
    /** Registrations on each host. */
    perHost: z.int().min(1).max(64).default(1),
    /** Jobs at once in one registration; Forgejo and Gitea. */
    capacity: z.int().min(1).max(256).default(1),
    min: z.int().min(0).optional(),
    max: z.int().min(1).optional(),
    vcpus: z.int().min(1).optional(),
    memoryMib: z.int().min(128).optional(),
  }),
);

const defaultUrls = { github: "https://github.com" };

export const forgesSchema = z.record(
  name,
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("github"), url: url.default(defaultUrls.github) }),
    z.strictObject({ kind: z.literal("forgejo"), url }),
    z.strictObject({ kind: z.literal("gitea"), url }),
  ]),
);

const token = z.strictObject({ token: z.string().min(1) });
const app = z.strictObject({
  appId: z.union([z.string(), z.int()]),
  installationId: z.union([z.string(), z.int()]),
  privateKey: z.string().includes("PRIVATE KEY", { error: "is not a PEM private key" }),
});
const ssh = z.strictObject({
  privateKey: z.string().includes("PRIVATE KEY", { error: "is not an SSH private key" }),
});

export const credentialsSchema = z
  .object({ ssh: ssh.optional() })
  .catchall(z.union([token, app], "must be { token } or { appId, installationId, privateKey }"));

export const vaultSchema = z.strictObject({
  address: url,
  namespace: z.string().min(1).optional(),
  /** A KV version 2 mount that exists. Absent: the fleet makes one of its own name. */
  mount: z.string().min(1).optional(),
  /** An AppRole auth mount that exists. Absent: the fleet makes one of its own name. */
  approleMount: z.string().min(1).optional(),
  auth: z.union(
    [
      z.strictObject({ token: z.string().min(1) }),
      z.strictObject({
        jwt: z.strictObject({ mount: z.string().default("jwt"), role: z.string(), token: z.string() }),
      }),
      z.strictObject({
        approle: z.strictObject({
          mount: z.string().default("approle"),
          roleId: z.string(),
          secretId: z.string(),
        }),
      }),
    ],
    "must be { token }, { jwt: { role, token } } or { approle: { roleId, secretId } }",
  ),
});

export const rolloutSchema = z
  .strictObject({
    /** Hosts of each kind that converge first, or the tag of those that do. 0: none. */
    canary: z.union([z.int().min(0), name], "must be a number of hosts or a tag").default(1),
    /** Installs, builds and pushes at once. */
    parallel: z.int().min(1).max(100).default(10),
    /** How long a removal or a restart waits for running jobs, in minutes. */
    drainMinutes: z.int().min(0).max(1440).default(30),
    /** How long a machine may take from its start to its first answer, in minutes. */
    bootMinutes: z.number().min(0.1).max(60).default(5),
  })
  .prefault({});

export const configSchema = z.strictObject({
  forges: forgesSchema.default({}),
  credentials: credentialsSchema.default({}),
  vault: vaultSchema,
  hosts: hostsSchema,
  runners: runnersSchema.default({}),
  operators: z.record(name, publicKey).default({}),
  sshFrom: z.array(cidr).default([]),
  release: z.array(z.union([name, z.literal("*")])).default([]),
  rollout: rolloutSchema,
});

export type FleetConfig = z.output<typeof configSchema>;
export type HostGroup = FleetConfig["hosts"][string];
export type RunnerEntry = FleetConfig["runners"][string];
export type Credentials = FleetConfig["credentials"];
export type VaultAuth = FleetConfig["vault"]["auth"];
