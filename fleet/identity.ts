/** What differs between the hosts of a kind. */
import type { Identity, Placement } from "./model.ts";

export function resolveIdentity(
  host: { readonly name: string; readonly placements: readonly Placement[] },
  fleet: string,
  authorizedKeys: readonly string[],
): Identity {
  return {
    version: 1,
    name: host.name,
    fleet,
    vaultRole: host.name,
    authorizedKeys,
    runners: host.placements.map(({ name, runner, instance }) => ({ name, runner: runner.name, instance })),
  };
}
