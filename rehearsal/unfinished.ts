/** Asks the world's clouds and Vault whether something is there, by what its creation was to make. */
import { z } from "zod";
import type { Find } from "./interrupted.ts";
import type { Parts } from "./parts.ts";

const listed = z.record(z.string(), z.unknown());
const entries = z.array(z.object({ id: z.union([z.string(), z.number()]), name: z.string() }));

/** Lists in which a name is unique within a fleet: path, and the key of the answer. */
const lists: Readonly<
  Record<string, { readonly cloud: "hetzner" | "digitalocean"; readonly path: string; readonly key: string }>
> = {
  "hcloud:index/server:Server": { cloud: "hetzner", path: "/servers?per_page=50", key: "servers" },
  "hcloud:index/firewall:Firewall": { cloud: "hetzner", path: "/firewalls?per_page=50", key: "firewalls" },
  "hcloud:index/sshKey:SshKey": { cloud: "hetzner", path: "/ssh_keys?per_page=50", key: "ssh_keys" },
  "digitalocean:index/droplet:Droplet": {
    cloud: "digitalocean",
    path: "/v2/droplets?per_page=200",
    key: "droplets",
  },
  "digitalocean:index/firewall:Firewall": {
    cloud: "digitalocean",
    path: "/v2/firewalls?per_page=200",
    key: "firewalls",
  },
  "digitalocean:index/sshKey:SshKey": {
    cloud: "digitalocean",
    path: "/v2/account/keys?per_page=200",
    key: "ssh_keys",
  },
};

/** What may be made again without harm (policies, roles, our own resources, tags) is not looked for. */
export function finder(parts: Parts): Find {
  const ask = async (url: string, headers: Readonly<Record<string, string>>) => {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(30_000) });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return listed.parse(await response.json());
  };
  const mounted = async (kind: "mounts" | "auth", path: unknown) => {
    const { address, token } = parts.vault;
    const mounts = listed.parse((await ask(`${address}/v1/sys/${kind}`, { "x-vault-token": token })).data);
    return typeof path === "string" && `${path}/` in mounts ? path : undefined;
  };
  return async (type, inputs) => {
    if (type === "vault:index/mount:Mount") return mounted("mounts", inputs.path);
    if (type === "vault:index/authBackend:AuthBackend") return mounted("auth", inputs.path);
    const list = lists[type];
    if (list === undefined) return undefined;
    const answer = await ask(`${parts.clouds[list.cloud]}${list.path}`, {
      authorization: `Bearer ${parts.values.cloudTokens[list.cloud]}`,
    });
    const found = entries.parse(answer[list.key]).find(({ name }) => name === inputs.name);
    return found === undefined ? undefined : String(found.id);
  };
}
