/** Which hosts converge first. */
import type { Wave } from "./model.ts";

interface Candidate {
  readonly name: string;
  readonly tags: readonly string[];
  readonly kind: { readonly name: string };
}

/**
 * The canary wave, then all others. A number takes that many hosts of every kind that has more, since a host proves
 * nothing for the kinds it is not of; a tag takes the hosts that bear it.
 */
export function wavesOf(hosts: readonly Candidate[], canary: number | string): Wave[] {
  const first = new Set(
    typeof canary === "string"
      ? hosts.filter(({ tags }) => tags.includes(canary))
      : [...Map.groupBy(hosts, ({ kind }) => kind.name).values()].flatMap((group) =>
          group.length > canary ? group.slice(0, canary) : [],
        ),
  );
  const wave = (name: string, members: readonly Candidate[]): Wave => ({
    name,
    hosts: members.map((host) => host.name),
  });
  return [
    wave(
      "canary",
      hosts.filter((host) => first.has(host)),
    ),
    wave(
      "fleet",
      hosts.filter((host) => !first.has(host)),
    ),
  ].filter(({ hosts: members }) => members.length > 0);
}
