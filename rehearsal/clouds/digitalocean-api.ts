/** What the simulated DigitalOcean remembers, and the requests that it takes. */
import { z } from "zod";

export interface Droplet {
  readonly id: number;
  readonly created: string;
  readonly region: string;
  readonly image: number;
  readonly address: string;
  readonly privateAddress: string;
  readonly ipv6: string | null;
  readonly features: readonly string[];
  readonly vpc: string;
  readonly userData: string;
  /** Public keys as they were when the droplet was created. */
  readonly sshKeys: readonly string[];
  name: string;
  size: string;
  /** GiB; stays behind the size after a resize without `disk`. */
  disk: number;
  status: "new" | "active" | "off";
  tags: string[];
}

export interface Action {
  readonly id: number;
  readonly type: string;
  readonly droplet: number;
  readonly region: string;
  readonly started: string;
  /** Size that a `resize` goes to, and whether the disk grows; name that a `rename` gives. */
  readonly target?: { readonly size?: string; readonly disk?: boolean; readonly name?: string };
  status: "in-progress" | "completed" | "errored";
  completed: string | null;
}

export interface SshKey {
  readonly id: number;
  readonly fingerprint: string;
  readonly public_key: string;
  name: string;
}

export interface Firewall {
  readonly id: string;
  readonly created: string;
  settled: boolean;
  spec: FirewallSpec;
}

export interface State {
  nextId: number;
  addressesGiven: number;
  readonly droplets: Droplet[];
  readonly actions: Action[];
  readonly sshKeys: SshKey[];
  readonly firewalls: Firewall[];
  readonly tags: string[];
}

const idOrText = z.union([z.string(), z.number()]).transform(String);
export const tagName = z
  .string()
  .regex(/^[a-zA-Z0-9_\-:]{1,255}$/, "may hold letters, numbers, colons, dashes and underscores");
const ends = z.object({
  addresses: z.array(z.string()).nullish(),
  droplet_ids: z.array(z.number()).nullish(),
  tags: z.array(tagName).nullish(),
});
const rule = z.object({ protocol: z.enum(["tcp", "udp", "icmp"]), ports: z.string().nullish() });
const inbound = rule.extend({ sources: ends });
const outbound = rule.extend({ destinations: ends });
export const firewallBody = z.object({
  name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9.-]+$/, "must be letters, numbers, periods and dashes"),
  droplet_ids: z.array(z.number()).nullish(),
  tags: z.array(tagName).nullish(),
  inbound_rules: z.array(inbound).nullish(),
  outbound_rules: z.array(outbound).nullish(),
});
export type FirewallSpec = z.infer<typeof firewallBody>;
export const rulesBody = firewallBody.pick({ inbound_rules: true, outbound_rules: true });

export const dropletBody = z.object({
  name: z
    .string()
    .regex(/^[a-zA-Z0-9]?[a-z0-9A-Z.-]*[a-z0-9A-Z]$/, "only valid hostname characters are allowed"),
  region: z.string().nullish(),
  size: z.string(),
  image: idOrText,
  ssh_keys: z.array(idOrText).nullish(),
  user_data: z.string().max(65_536, "at most 64 KiB").nullish(),
  tags: z.array(tagName).nullish(),
  ipv6: z.boolean().nullish(),
  monitoring: z.boolean().nullish(),
  backups: z.boolean().nullish(),
  with_droplet_agent: z.boolean().nullish(),
  vpc_uuid: z.string().nullish(),
});
export const actionBody = z.object({
  type: z.enum(["power_off", "power_on", "shutdown", "reboot", "power_cycle", "resize", "rename"]),
  size: z.string().optional(),
  disk: z.boolean().optional(),
  name: z.string().min(1).optional(),
});
export const keyBody = z.object({ name: z.string().min(1), public_key: z.string() });
export const resourcesBody = z.object({
  resources: z.array(z.object({ resource_id: idOrText, resource_type: z.enum(["droplet"]) })),
});
