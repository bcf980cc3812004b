/** What a simulated cloud asks of the world when its servers change. */

export interface Machine {
  /** The cloud's id of the server. */
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly provider: "hetzner" | "digitalocean";
  readonly serverType: string;
  readonly userData: string;
  /** In the form of `authorized_keys`. */
  readonly sshKeys: readonly string[];
}

export interface Machines {
  /** Resolves when the machine answers; called again for a boot that a restart of the world interrupted. */
  boot(machine: Machine): Promise<void>;
  /** A machine that is gone already is a success. */
  remove(id: string): Promise<void>;
  power(id: string, on: boolean): Promise<void>;
}

/**
 * The n-th public address of a cloud: documentation addresses (RFC 5737) while they last, then the range reserved for
 * benchmarks (RFC 2544). Each cloud has its own half, so no two machines share one.
 */
export function publicAddress(half: 0 | 1, n: number): string {
  if (n < 127) return `203.0.113.${half * 127 + n + 1}`;
  const rest = (n - 127) % 65_024;
  return `198.${18 + half}.${Math.floor(rest / 254)}.${(rest % 254) + 1}`;
}
