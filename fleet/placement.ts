/** Which host carries which runner, and under which name. */
import { type Fault, show } from "./faults.ts";
import type { ExpandedHost } from "./hosts.ts";
import type { Placement, Runner } from "./model.ts";

/** GitHub's limit, the lowest of the forges'. */
const longestName = 64;

/** A runner's name in the forge and in Vault comes from the host's and the runner's alone, so neighbours never move it. */
export function placeRunners<H extends ExpandedHost>(
  hosts: readonly H[],
  runners: readonly Runner[],
  faults: Fault[],
): (H & { readonly placements: readonly Placement[] })[] {
  const owner = new Map<string, { readonly runner: string; readonly host: string }>();
  const reported = new Set<string>();
  return hosts.map((host) => {
    const placements = runners
      .filter((runner) => runner.on.some((tag) => host.tags.includes(tag)))
      .flatMap((runner) =>
        Array.from({ length: runner.perHost }, (_, index) => ({
          name: `${host.name}-${runner.name}${runner.perHost > 1 ? `-${index + 1}` : ""}`,
          runner,
          instance: index + 1,
        })),
      );
    for (const { name, runner } of placements) {
      if (name.length > longestName && !reported.has(runner.name)) {
        reported.add(runner.name);
        faults.push({
          path: `runners.${runner.name}`,
          message: `its runner ${show(name)} has a name of more than ${longestName} characters; shorten the host's or the runner's`,
        });
      }
      const other = owner.get(name);
      const pair = `${runner.name} ${other?.runner}`;
      if (other !== undefined && !reported.has(pair)) {
        reported.add(pair);
        faults.push({
          path: `runners.${runner.name}`,
          message: `its runner ${show(name)} on host ${host.name} is also made by runners.${other.runner} on host ${other.host}; rename one of them`,
        });
      }
      owner.set(name, { runner: runner.name, host: host.name });
    }
    return { ...host, placements };
  });
}
