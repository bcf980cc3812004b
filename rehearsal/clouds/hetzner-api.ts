/** What the simulated Hetzner Cloud remembers, and the requests that it takes. */
import { z } from "zod";

export interface Server {
  readonly id: number;
  readonly created: string;
  readonly location: string;
  readonly image: number;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  readonly userData: string;
  /** Public keys as they were when the server was created. */
  readonly sshKeys: readonly string[];
  name: string;
  type: string;
  labels: Labels;
  diskGb: number;
  status: "initializing" | "starting" | "running" | "stopping" | "off" | "migrating" | "deleting";
  protection: { delete: boolean; rebuild: boolean };
}

export interface Action {
  readonly id: number;
  readonly command: string;
  readonly started: string;
  readonly resources: readonly { readonly id: number; readonly type: string }[];
  /** Name of the type that a `change_server_type` goes to, and whether the disk grows. */
  readonly target?: { readonly type: string; readonly upgradeDisk: boolean };
  status: "running" | "success" | "error";
  finished: string | null;
  error: { code: string; message: string } | null;
}

export interface SshKey {
  readonly id: number;
  readonly created: string;
  readonly fingerprint: string;
  readonly public_key: string;
  name: string;
  labels: Labels;
}

export interface Firewall {
  readonly id: number;
  readonly created: string;
  name: string;
  labels: Labels;
  rules: Rule[];
  appliedTo: Resource[];
}

export interface State {
  nextId: number;
  addressesGiven: number;
  readonly servers: Server[];
  readonly actions: Action[];
  readonly sshKeys: SshKey[];
  readonly firewalls: Firewall[];
}

export type Labels = Record<string, string>;

const labels = z.record(z.string(), z.string());
const idOrName = z.union([z.string(), z.number()]).transform(String);
export const ruleBody = z.object({
  direction: z.enum(["in", "out"]),
  protocol: z.enum(["tcp", "udp", "icmp", "esp", "gre"]),
  port: z.string().nullish(),
  source_ips: z.array(z.string()).nullish(),
  destination_ips: z.array(z.string()).nullish(),
  description: z.string().nullish(),
});
export const resourceBody = z.object({
  type: z.enum(["server", "label_selector"]),
  server: z.object({ id: z.number() }).nullish(),
  label_selector: z.object({ selector: z.string() }).nullish(),
});
type Rule = z.infer<typeof ruleBody>;
export type Resource = z.infer<typeof resourceBody>;

export const serverBody = z.object({
  name: z.string().regex(/^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/, "must be a valid hostname"),
  server_type: idOrName,
  image: idOrName,
  location: z.string().nullish(),
  ssh_keys: z.array(idOrName).nullish(),
  user_data: z.string().max(32_768, "at most 32 KiB").nullish(),
  labels: labels.nullish(),
  firewalls: z.array(z.object({ firewall: z.number() })).nullish(),
  public_net: z.object({ enable_ipv4: z.boolean().nullish(), enable_ipv6: z.boolean().nullish() }).nullish(),
});
export const renameBody = z.object({ name: z.string().min(1).nullish(), labels: labels.nullish() });
export const keyBody = z.object({
  name: z.string().min(1),
  public_key: z.string(),
  labels: labels.nullish(),
});
export const firewallBody = z.object({
  name: z.string().min(1).max(128),
  labels: labels.nullish(),
  rules: z.array(ruleBody).max(50).nullish(),
  apply_to: z.array(resourceBody).nullish(),
});
export const protectionBody = z.object({ delete: z.boolean().nullish(), rebuild: z.boolean().nullish() });
export const changeTypeBody = z.object({ server_type: idOrName, upgrade_disk: z.boolean() });
