/** The simulated machines of a world: boots them, keeps their addresses, and brings them back after a restart. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Provider } from "../../fleet/model.ts";
import type { World } from "../world.ts";
import { readUserData } from "./cloud-init.ts";
import { writeCommands } from "./commands.ts";
import { authorize, ensureHostKey, type HostKey, writeForeignNixos, writeUbuntu } from "./disk.ts";
import { type Hardware, hardwareOf } from "./hardware.ts";
import { type HostState, SimulatedHost } from "./host.ts";
import { requireNamespaces } from "./namespace.ts";
import type { RunnerForges } from "./units.ts";

export interface BootSpec {
  /** The provider's id. */
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly provider: Provider;
  readonly serverType?: string;
  readonly userData?: string;
  /** Public keys that the provider puts on the machine. */
  readonly sshKeys: readonly string[];
  /** What differs from the server type's hardware. */
  readonly hardware?: Partial<Hardware>;
}

export interface ExistingSpec {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** The key that it shows; one is made when absent. */
  readonly hostKey?: HostKey;
  readonly sshKeys: readonly string[];
  /** What runs on it: `ubuntu`, or a NixOS that was set up by hand. */
  readonly system?: "ubuntu" | "nixos";
  readonly hardware?: Partial<Hardware>;
}

export interface HostsOptions extends RunnerForges {
  /** For how long a host answers nobody while it restarts (default 300). */
  readonly downMillis?: number;
}

/** A host as others see it. */
export interface HostView extends HostState {
  /** Its root directory on this machine. */
  readonly root: string;
  /** The public host key, as `ssh-ed25519 AAAA…`. */
  readonly hostKey: string | undefined;
}

export class Hosts {
  readonly #world: World;
  readonly #options: HostsOptions;
  readonly #commands: string;
  readonly #hosts = new Map<string, SimulatedHost>();

  constructor(world: World, options: HostsOptions) {
    requireNamespaces();
    this.#world = world;
    this.#options = options;
    this.#commands = join(world.dir, "hosts", ".commands");
    writeCommands(this.#commands);
  }

  /** A new server of a cloud, up to the point where it answers. */
  async boot(spec: BootSpec): Promise<HostView> {
    const first = readUserData(spec.userData);
    const hardware = { ...hardwareOf(spec.provider, spec.serverType), ...spec.hardware };
    const { id, name, address, provider, serverType } = spec;
    const host = this.#create({
      ...{ id, name, address, provider, hardware, phase: "ubuntu", powered: true, wipes: 0 },
      ...(serverType === undefined ? {} : { serverType }),
    });
    writeUbuntu(host.root, name);
    ensureHostKey(host.root, first.hostKey);
    authorize(host.root, [...spec.sshKeys, ...first.authorizedKeys]);
    return this.#start(host);
  }

  /** A machine that was there before the fleet. */
  async bootExisting(spec: ExistingSpec): Promise<HostView> {
    const { id, name, address, system = "ubuntu" } = spec;
    const hardware = { ...hardwareOf("existing"), ...spec.hardware };
    const host = this.#create({
      id,
      name,
      address,
      provider: "existing",
      hardware,
      phase: system,
      powered: true,
      wipes: 0,
    });
    if (system === "nixos") writeForeignNixos(host.root, name);
    else writeUbuntu(host.root, name);
    ensureHostKey(host.root, spec.hostKey);
    authorize(host.root, spec.sshKeys);
    return this.#start(host);
  }

  /** Brings back every host of the world as it was when the rehearsal ended. */
  async resume(): Promise<void> {
    await Promise.all(
      Object.values(this.#saved()).map(async (state) => {
        if (this.#hosts.has(state.id)) return;
        const host = this.#make(state);
        if (state.powered) await host.powerOn(true);
      }),
    );
    this.#publish();
  }

  /** Switches a machine off for ever. A machine that is not there is a success. */
  async remove(id: string): Promise<void> {
    const host = this.#hosts.get(id);
    if (host === undefined) return;
    this.#hosts.delete(id);
    const { [id]: _, ...others } = this.#saved();
    this.#world.save("hosts", others);
    this.#publish();
    await host.powerOff();
    rmSync(this.#directory(id), { recursive: true, force: true });
  }

  /** The provider's power switch. */
  async power(id: string, on: boolean): Promise<void> {
    const host = this.#hosts.get(id);
    if (host === undefined) throw new Error(`there is no simulated host with the id ${id}`);
    if (host.state.powered === on) return;
    await (on ? host.powerOn() : host.powerOff(true));
  }

  list(): readonly HostView[] {
    return [...this.#hosts.values()].map(view);
  }

  state(id: string): HostView | undefined {
    const host = this.#hosts.get(id);
    return host === undefined ? undefined : view(host);
  }

  /** Resolves when the runner units of every host are where its files say. */
  async settled(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.settled()));
  }

  /** Stops every server; files and addresses stay for `resume`. */
  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.powerOff()));
    this.#hosts.clear();
  }

  #create(state: HostState): SimulatedHost {
    if (this.#hosts.has(state.id)) throw new Error(`a simulated host with the id ${state.id} runs already`);
    rmSync(this.#directory(state.id), { recursive: true, force: true });
    return this.#make(state);
  }

  #make(state: HostState): SimulatedHost {
    const directory = this.#directory(state.id);
    mkdirSync(join(directory, "root"), { recursive: true });
    const host = new SimulatedHost(
      {
        world: this.#world,
        directory,
        commands: this.#commands,
        forges: this.#options,
        downMillis: this.#options.downMillis ?? 300,
        changed: (changed) => this.#save(changed),
      },
      state,
    );
    this.#hosts.set(state.id, host);
    return host;
  }

  async #start(host: SimulatedHost): Promise<HostView> {
    this.#save(host.state);
    await host.powerOn();
    return view(host);
  }

  #save(state: HostState): void {
    if (!this.#hosts.has(state.id)) return;
    const saved = this.#saved();
    this.#world.save("hosts", { ...saved, [state.id]: state });
    if (saved[state.id]?.port !== state.port) this.#publish();
  }

  #saved(): Readonly<Record<string, HostState>> {
    return this.#world.load<Readonly<Record<string, HostState>>>("hosts", {});
  }

  /** Where the rehearsal's ssh finds each address. */
  #publish(): void {
    const states = [...this.#hosts.values()]
      .map(({ state }) => state)
      .filter(({ port }) => port !== undefined);
    this.#world.save("addresses", Object.fromEntries(states.map(({ address, port }) => [address, port])));
  }

  #directory(id: string): string {
    return join(this.#world.dir, "hosts", id);
  }
}

function view(host: SimulatedHost): HostView {
  return { ...host.state, root: host.root, hostKey: host.hostKey };
}
