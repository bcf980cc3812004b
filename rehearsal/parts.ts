/** Starts the parts of a world: Vault, forges, clouds, hosts, and the tools and plugins that reach them. */
import { generateKeyPairSync } from "node:crypto";
import { deriveHostKey } from "../fleet/host-keys.ts";
import type { ForgeKind } from "../fleet/model.ts";
import { serveProvider } from "../provider/protocol.ts";
import { startDigitalOcean } from "./clouds/digitalocean.ts";
import { startHetzner } from "./clouds/hetzner.ts";
import type { Machine, Machines } from "./clouds/machine.ts";
import { bootExistingMachines, existingHostKey, existingMachines } from "./existing-machines.ts";
import { startForgejo } from "./forges/forgejo.ts";
import { startGitea } from "./forges/gitea.ts";
import { startGithub } from "./forges/github.ts";
import type { ForgeServer } from "./forges/runners.ts";
import { Hosts } from "./hosts/index.ts";
import { digitaloceanPlugin } from "./plugins/digitalocean.ts";
import { hcloudPlugin } from "./plugins/hcloud.ts";
import { findOfficialPlugin } from "./plugins/official.ts";
import { vaultPlugin } from "./plugins/vault.ts";
import { asTree, type WorldValues } from "./stack-config.ts";
import { writeShims } from "./stand-ins/index.ts";
import { startVault } from "./tools/vault-server.ts";
import { prepareMounts } from "./vault-mounts.ts";
import type { World } from "./world.ts";

export interface Parts {
  readonly hosts: Hosts;
  readonly forges: ReadonlyMap<string, ForgeServer>;
  readonly vault: { readonly address: string; readonly token: string };
  readonly values: WorldValues;
  /** `name:port,…` of the stand-in plugins, for PULUMI_DEBUG_PROVIDERS. */
  readonly attached: string;
  /** Directories of the official plugins that are used in place of stand-ins. */
  readonly official: readonly string[];
  readonly clouds: { readonly hetzner: string; readonly digitalocean: string };
  close(): Promise<void>;
}

const appId = "4711";
const installationId = "815";

export interface PartsOptions {
  /** The stack's own configuration, which names forges and existing machines. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly repo: string;
  /** Takes official plugins that are on this machine in place of their stand-ins. */
  readonly officialPlugins: boolean;
}

export async function startParts(world: World, options: PartsOptions): Promise<Parts> {
  const { config, repo, officialPlugins } = options;
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const each of closers.toReversed()) await each();
  };
  try {
    const vault = await startVault(world);
    closers.push(() => vault.close());
    await prepareMounts(vault.address, vault.rootToken, asTree(config["flotilla:vault"]));

    const forges = new Map<string, ForgeServer>();
    for (const [name, forge] of Object.entries(asTree(config["flotilla:forges"]))) {
      const server = await startForge(world, name, asTree(forge).kind as ForgeKind, loginOf(config, name));
      forges.set(name, server);
      closers.push(() => server.close());
    }
    const serverOf = (url: string): ForgeServer => {
      const server = [...forges.values()].find((each) => each.url === url);
      if (server === undefined) throw new Error(`no forge of this world is at ${url}`);
      return server;
    };

    const hosts = new Hosts(world, {
      connectRunner: async (url, runner) => serverOf(url).connectRunner({ ...runner, replace: true }),
      disconnectRunner: async (url, id) => serverOf(url).disconnectRunner(id),
    });
    closers.push(() => hosts.close());
    await hosts.resume();
    const operator = deriveHostKey(world.secret("operator"), "operator", "1", "host");
    const existing = existingMachines(config);
    await bootExistingMachines(world, hosts, existing, operator.publicKey);

    const hetzner = await startHetzner(world, machinesOf(hosts, "hetzner"));
    closers.push(() => hetzner.close());
    const digitalocean = await startDigitalOcean(world, machinesOf(hosts, "digitalocean"));
    closers.push(() => digitalocean.close());

    const plugins = [
      hcloudPlugin({ endpoint: hetzner.url }),
      digitaloceanPlugin({ apiEndpoint: digitalocean.url }),
      vaultPlugin(),
    ];
    const attached: string[] = [];
    const official: string[] = [];
    for (const plugin of plugins) {
      const found = officialPlugins ? findOfficialPlugin(repo, plugin.name) : undefined;
      if (found !== undefined) {
        official.push(found);
        continue;
      }
      const served = await serveProvider(plugin);
      attached.push(`${plugin.name}:${served.port}`);
      closers.push(() => served.close());
    }
    writeShims(world.dir, process.execPath);

    return {
      hosts,
      forges,
      vault: { address: vault.address, token: vault.rootToken },
      attached: attached.join(","),
      official,
      clouds: { hetzner: hetzner.url, digitalocean: digitalocean.url },
      values: {
        vault: { address: vault.address, token: vault.rootToken },
        forges: Object.fromEntries(
          [...forges].map(([name, { url, kind }]) => [
            name,
            { url, credential: credentialOf(world, name, kind) },
          ]),
        ),
        cloudTokens: {
          hetzner: world.secret("hetzner-token"),
          digitalocean: world.secret("digitalocean-token"),
        },
        operator,
        hostKeys: Object.fromEntries(
          existing.map(({ name }) => [name, existingHostKey(world, name).publicKey]),
        ),
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function machinesOf(hosts: Hosts, provider: string): Machines {
  const idOf = (id: string) => `${provider}-${id}`;
  return {
    boot: async (machine: Machine) => {
      if (hosts.state(idOf(machine.id)) === undefined) await hosts.boot({ ...machine, id: idOf(machine.id) });
    },
    remove: (id) => hosts.remove(idOf(id)),
    power: (id, on) => hosts.power(idOf(id), on),
  };
}

/** The user that runs scoped to a user name; the forge's token belongs to it. */
function loginOf(config: Readonly<Record<string, unknown>>, forge: string): string {
  const users = Object.values(asTree(config["flotilla:runners"]))
    .map(asTree)
    .filter((runner) => runner.forge === forge)
    .map((runner) => asTree(runner.scope).user);
  const user = users.find((each) => typeof each === "string");
  return typeof user === "string" ? user : "operator";
}

async function startForge(world: World, name: string, kind: ForgeKind, login: string): Promise<ForgeServer> {
  const token = world.secret(`forge-${name}-token`);
  switch (kind) {
    case "github":
      return startGithub(world, {
        name,
        tokens: [token],
        appPublicKey: appKey(world, name).publicKey,
        appId,
        installationId,
      });
    case "forgejo":
      return startForgejo(world, { name, token, login });
    case "gitea":
      return startGitea(world, { name, token, login });
    default:
      throw new Error(`forge ${name}: ${String(kind)} is none of github, forgejo, gitea`);
  }
}

function credentialOf(world: World, name: string, kind: ForgeKind): Record<string, string> {
  return kind === "github"
    ? { appId, installationId, privateKey: appKey(world, name).privateKey }
    : { token: world.secret(`forge-${name}-token`) };
}

interface AppKey {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** The key of the GitHub App, made once. */
function appKey(world: World, forge: string): AppKey {
  const file = `forge-${forge}-app-key`;
  const kept = world.load<AppKey | undefined>(file, undefined);
  if (kept !== undefined) return kept;
  const made = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  world.save(file, made);
  return made;
}
