export type { HostKey } from "./disk.ts";
export type { Hardware } from "./hardware.ts";
export type { HostState, Phase } from "./host.ts";
export { type BootSpec, type ExistingSpec, Hosts, type HostsOptions, type HostView } from "./hosts.ts";
export type { RunnerConnection, RunnerForges } from "./units.ts";
