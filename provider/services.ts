/** What the provider's resources share; made from its configuration before the first of them runs. */
import { join } from "node:path";
import { Builds } from "./builds.ts";
import type { ForgeClient } from "./forges/forge.ts";
import { createForgeClient } from "./forges/index.ts";
import { Rollout } from "./rollout.ts";
import type { Settings } from "./settings.ts";
import { Ssh } from "./ssh.ts";
import { Vault } from "./vault.ts";

export interface Services {
  readonly settings: Settings;
  readonly ssh: Ssh;
  readonly builds: Builds;
  readonly rollout: Rollout;
  readonly vault: Vault;
  forge(name: string): ForgeClient;
  close(): void;
}

/** @param projectDir the Pulumi project; what we generate for nix lies in its `.flotilla/<fleet>/`. */
export function createServices(settings: Settings, projectDir: string, signal: AbortSignal): Services {
  const ssh = new Ssh(settings.credentials.ssh?.privateKey);
  const workDir = join(projectDir, ".flotilla", settings.fleet);
  const builds = new Builds(workDir, ssh.env, settings.parallel, signal);
  const clients = new Map<string, ForgeClient>();
  return {
    settings,
    ssh,
    builds,
    rollout: new Rollout(builds, ssh, settings.parallel, signal),
    vault: new Vault(settings.vault, signal),
    forge: (name) => {
      const forge = settings.forges[name];
      const credential = settings.credentials[name];
      if (
        forge === undefined ||
        credential === undefined ||
        !("token" in credential || "appId" in credential)
      )
        throw new Error(
          `forge ${name} is not in the configuration; put it and its credential back until its runners are gone`,
        );
      const client = clients.get(name) ?? createForgeClient({ name, ...forge }, credential, signal);
      clients.set(name, client);
      return client;
    },
    close: () => ssh.close(),
  };
}
