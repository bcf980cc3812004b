/** A host's kind: all that Nix evaluates of it, and nothing that names it. */
import type { ExpandedHost } from "./hosts.ts";
import type { Forge, Kind, KindRunner, Placement, Runner, VaultAddress, VaultSettings } from "./model.ts";
import { type NixSources, nixFilesOf } from "./nix-sources.ts";
import { hashOf } from "./revision.ts";

export function kindOf(
  host: ExpandedHost & { readonly placements: readonly Placement[] },
  forges: readonly Forge[],
  vault: VaultSettings,
  nix: NixSources,
): Kind {
  const { address, mount, approleMount, namespace } = vault;
  const vaultAddress: VaultAddress = {
    address,
    mount,
    approleMount,
    ...(namespace === undefined ? {} : { namespace }),
  };
  const runners = new Map<string, Runner>(host.placements.map(({ runner }) => [runner.name, runner]));
  const content = {
    system: host.system,
    provider: host.provider,
    ...(host.disk === undefined ? {} : { disk: host.disk }),
    tags: host.tags,
    ...(nix.hosts.has(host.name) ? { host: host.name } : {}),
    vault: vaultAddress,
    runners: [...runners.values()].map((runner) => kindRunner(runner, forges)),
  };
  const words = content.host === undefined ? host.tags : [content.host];
  return {
    name: `${words.join("-")}-${hashOf(content, 6)}`,
    revision: hashOf({ content, files: nixFilesOf(content, nix) }, 12),
    ...content,
  };
}

function kindRunner(runner: Runner, forges: readonly Forge[]): KindRunner {
  const { name, scope, labels, isolation, ephemeral, perHost, capacity, pool } = runner;
  const forge = forges.find((candidate) => candidate.name === runner.forge);
  if (forge === undefined) throw new Error(`runner ${name} names no forge of the fleet`);
  return {
    name,
    forge: { kind: forge.kind, url: forge.url },
    scope,
    labels,
    isolation,
    ephemeral,
    perHost,
    capacity,
    ...(pool === undefined ? {} : { pool }),
  };
}
