/** One simulated machine and its life: boot, kexec into the installer, install, reboot, power-off. */
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Identity, Provider } from "../../fleet/model.ts";
import type { World } from "../world.ts";
import { emptyMemory, ensureHostKey, seed, writeInstaller } from "./disk.ts";
import type { Hardware } from "./hardware.ts";
import { inside, readInside } from "./inside.ts";
import { type End, Namespace } from "./namespace.ts";
import { type Reception, Sshd, type Treatment } from "./sshd.ts";
import { type RunnerForges, RunnerUnits } from "./units.ts";

/** What runs on the machine. `dead`: nothing that it could boot, so it never answers. */
export type Phase = "ubuntu" | "installer" | "nixos" | "dead";

export interface HostState {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly provider: Provider;
  readonly serverType?: string;
  readonly hardware: Hardware;
  readonly phase: Phase;
  readonly powered: boolean;
  /** Where it listens on loopback; absent until it has booted. */
  readonly port?: number;
  /** How often a disk layout was applied. */
  readonly wipes: number;
}

export interface HostParts {
  readonly world: World;
  readonly directory: string;
  /** Holds the command sets of commands.ts. */
  readonly commands: string;
  readonly forges: RunnerForges;
  /** For how long it answers nobody while it restarts. */
  readonly downMillis: number;
  changed(state: HostState): void;
}

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PATHS: Readonly<Record<Phase, string>> = {
  ubuntu: `/rehearsal/any:${SYSTEM_PATH}`,
  installer: `/rehearsal/any:/rehearsal/nixos:/rehearsal/installer:${SYSTEM_PATH}`,
  nixos: `/rehearsal/any:/rehearsal/nixos:/run/current-system/sw/bin:${SYSTEM_PATH}`,
  dead: SYSTEM_PATH,
};
/** What the installer needs in memory: less, and the machine does not come back from kexec. */
const KEXEC_MIB = 1000;
const HOST_KEY = "/etc/ssh/ssh_host_ed25519_key";
const IDENTITY_KEYS = "/var/lib/flotilla/authorized_keys.d/root";
const DISK_MOUNTED = "/run/disk-mounted";

export class SimulatedHost {
  readonly #parts: HostParts;
  #state: HostState;
  #namespace: Namespace | undefined;
  #sshd: Sshd | undefined;
  #units: RunnerUnits | undefined;
  /** A fault taken from the world that waits for the command it is meant for. */
  #fault: string | undefined;
  #vanished = false;
  #identity: string | undefined;
  #off = false;
  #turning: Promise<void> = Promise.resolve();

  constructor(parts: HostParts, state: HostState) {
    this.#parts = parts;
    this.#state = state;
  }

  get state(): HostState {
    return this.#state;
  }

  get root(): string {
    return join(this.#parts.directory, "root");
  }

  /** The key that it shows, as `ssh-ed25519 AAAA…`. */
  get hostKey(): string | undefined {
    return readInside(this.root, "/etc/ssh/ssh_host_ed25519_key.pub")?.trim();
  }

  /** Boots, or goes on where the rehearsal was left when `resumed`. */
  async powerOn(resumed = false): Promise<void> {
    this.#off = false;
    if (!this.#state.powered) this.#become({ powered: true });
    if (!resumed) emptyMemory(this.root);
    if (this.#state.phase !== "installer") this.#become({ phase: bootable(this.root) });
    if (this.#state.phase === "dead") {
      ensureHostKey(this.root);
      this.#sshd = await this.#serve(readInside(this.root, HOST_KEY) ?? "");
      return;
    }
    seed(this.root, this.#state.name);
    // A fleet's host never makes a key: without the one that the install put there, sshd does not start.
    if (!this.#isFleetHost()) ensureHostKey(this.root);
    const namespace = await this.#startNamespace();
    this.#namespace = namespace;
    if (this.#state.phase === "nixos" && !resumed)
      await ended(this.#exec('exec "$(readlink /boot/default-system)/activate" boot'));
    if (this.#state.phase === "installer" && existsSync(join(this.root, DISK_MOUNTED)))
      await ended(this.#exec("mount --bind /rehearsal/disk /mnt"));
    this.#units = new RunnerUnits(this.root, this.#parts.forges);
    const hostKey = readInside(this.root, HOST_KEY);
    // The disk may be another than at the last boot.
    this.#identity = undefined;
    this.#applyIdentity();
    if (hostKey !== undefined) this.#sshd = await this.#serve(hostKey);
    this.#units.check();
    void namespace.ended.then((end) => {
      if (end !== "killed" && !this.#off)
        this.#turning = this.#turning.then(() => this.#turn(end)).catch((error) => this.#lose(error));
    });
  }

  /** Cuts the power. The provider's switch is remembered; the end of a rehearsal is not one. */
  async powerOff(remembered = false): Promise<void> {
    this.#off = true;
    if (remembered) this.#become({ powered: false });
    await this.#turning;
    await this.#down();
    await this.#namespace?.kill();
    this.#namespace = undefined;
  }

  /** Resolves when its runner units are where its files say. */
  async settled(): Promise<void> {
    await this.#turning;
    this.#units?.check();
    await this.#units?.settled();
  }

  async #down(): Promise<void> {
    await this.#sshd?.stop();
    await this.#units?.stop();
    this.#sshd = undefined;
    this.#units = undefined;
  }

  async #turn(end: End): Promise<void> {
    this.#parts.world.record({ part: `host ${this.#state.name}`, call: end });
    await this.#down();
    const disk = join(this.#parts.directory, "disk");
    if (end === "kexec") {
      if (this.#state.phase !== "installer") {
        rmSync(disk, { recursive: true, force: true });
        renameSync(this.root, disk);
      } else rmSync(this.root, { recursive: true, force: true });
      mkdirSync(this.root, { recursive: true });
      writeInstaller(this.root, disk, this.#state.name);
      this.#become({ phase: this.#state.hardware.memoryMib < KEXEC_MIB ? "dead" : "installer" });
    } else if (this.#state.phase === "installer") {
      rmSync(this.root, { recursive: true, force: true });
      renameSync(disk, this.root);
      this.#become({ phase: "dead" });
    }
    await new Promise((resolve) => setTimeout(resolve, this.#parts.downMillis));
    if (!this.#off) await this.powerOn();
  }

  /** A machine that cannot start is no reason to end the world: it is gone, and the record says why. */
  #lose(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    this.#parts.world.record({ part: `host ${this.#state.name}`, call: "does not start", detail });
  }

  #become(change: Partial<HostState>): void {
    this.#state = { ...this.#state, ...change };
    this.#parts.changed(this.#state);
  }

  async #startNamespace(): Promise<Namespace> {
    const { directory, commands } = this.#parts;
    const { hardware, phase } = this.#state;
    const facts = join(directory, "hardware");
    const disk = join(directory, "disk");
    mkdirSync(facts, { recursive: true });
    mkdirSync(disk, { recursive: true });
    writeFileSync(join(facts, "meminfo"), meminfo(hardware.memoryMib));
    writeFileSync(join(facts, "boot_id"), `${randomUUID()}\n`);
    writeFileSync(join(facts, "arch"), `${hardware.arch}\n`);
    writeFileSync(join(facts, "disks"), `${hardware.disks.join("\n")}\n`);
    const { source, uuid, fsType, label } = hardware.root;
    writeFileSync(join(facts, "root"), `${source} ${uuid} ${fsType}\n`);
    for (const link of hardware.links) mkdirSync(join(this.root, "sys/class/net", link), { recursive: true });
    if (hardware.efi) mkdirSync(join(this.root, "sys/firmware/efi"), { recursive: true });
    return Namespace.start({
      root: this.root,
      scratch: join(directory, "scratch"),
      kvm: hardware.kvm,
      disks: [...new Set([...hardware.disks, source])],
      links: { [`/dev/disk/by-uuid/${uuid}`]: source, [`/dev/disk/by-label/${label}`]: source },
      bashIsSh: phase !== "ubuntu",
      binds: {
        "/proc/meminfo": join(facts, "meminfo"),
        "/proc/sys/kernel/random/boot_id": join(facts, "boot_id"),
        "/rehearsal/hardware": facts,
        "/rehearsal/any": join(commands, "any"),
        "/rehearsal/node": process.execPath,
        ...(phase === "ubuntu" ? {} : { "/rehearsal/nixos": join(commands, "nixos") }),
        ...(phase === "installer"
          ? { "/rehearsal/installer": join(commands, "installer"), "/rehearsal/disk": disk }
          : {}),
        ...(existsSync("/etc/alternatives") ? { "/etc/alternatives": "/etc/alternatives" } : {}),
      },
    });
  }

  #exec(command: string, fault?: string): ChildProcess {
    if (this.#namespace === undefined) throw new Error(`${this.#state.name} does not run`);
    return this.#namespace.exec(command, {
      HOME: "/root",
      USER: "root",
      LOGNAME: "root",
      SHELL: "/bin/sh",
      PATH: PATHS[this.#state.phase],
      ...(fault === undefined ? {} : { REHEARSAL_FAULT: fault }),
    });
  }

  async #serve(hostKey: string): Promise<Sshd> {
    const sshd = await Sshd.start({
      port: this.#state.port,
      hostKey,
      authorizedKeys: () => this.#authorizedKeys(),
      receive: () => this.#receive(),
      treat: (command) => this.#treat(command),
      exec: (command) => this.#exec(command, this.#activationFault(command)),
      finished: () => this.#afterCommand(),
    });
    if (sshd.port !== this.#state.port) this.#become({ port: sshd.port });
    return sshd;
  }

  #receive(): Reception {
    this.#fault ??= this.#parts.world.fault(`host:${this.#state.name}`);
    const fault = this.#fault;
    if (fault === "vanish") this.#vanished = true;
    if (fault === "back") this.#vanished = false;
    if (fault === "vanish" || fault === "back" || fault === "slow" || fault === "refuse")
      this.#fault = undefined;
    if (this.#vanished || this.#state.phase === "dead") return "silence";
    return fault === "slow" || fault === "refuse" ? fault : "answer";
  }

  #treat(command: string): Treatment {
    const [line = ""] = command.split("\n", 1);
    this.#parts.world.record({ part: `ssh ${this.#state.name}`, call: line.slice(0, 120) });
    if (this.#fault === "drop") {
      this.#fault = undefined;
      return { cut: "while-running" };
    }
    // The script that installs comes by standard input.
    if (this.#fault === "drop-in-install" && this.#state.phase === "installer" && /^sh\b/.test(command))
      return {
        cut: "at-input",
        input: "nixos-install",
        done: () => {
          this.#fault = undefined;
        },
      };
    return { cut: "no" };
  }

  /** Faults of an activation are told to the system's own script. */
  #activationFault(command: string): string | undefined {
    const fault = this.#fault;
    if (fault !== "switch-fails" && fault !== "bootloader-fails") return undefined;
    if (!command.includes("switch-to-configuration")) return undefined;
    this.#fault = undefined;
    return fault;
  }

  #afterCommand(): void {
    this.#applyIdentity();
    this.#units?.check();
    if (this.#state.phase !== "installer") return;
    const applied = Number(readInside(this.root, DISK_MOUNTED) ?? 0);
    if (applied === 0) return;
    writeFileSync(join(this.root, DISK_MOUNTED), "");
    this.#parts.world.record({ part: `host ${this.#state.name}`, call: "disk wiped" });
    this.#become({ wipes: this.#state.wipes + applied });
  }

  #authorizedKeys(): readonly string[] {
    const files = this.#isFleetHost()
      ? [IDENTITY_KEYS]
      : ["/root/.ssh/authorized_keys", "/etc/ssh/authorized_keys.d/root"];
    return files
      .flatMap((file) => (readInside(this.root, file) ?? "").split("\n"))
      .filter((line) => line.startsWith("ssh-"));
  }

  /** Whether it runs a system of a fleet, not just any NixOS. */
  #isFleetHost(): boolean {
    if (this.#state.phase !== "nixos") return false;
    const system = inside(this.root, "/run/current-system") ?? inside(this.root, "/boot/default-system");
    return system !== undefined && existsSync(join(system, "flotilla-revision"));
  }

  /** The keys of the identity stay those of the last good one: a broken file locks nobody out. */
  #applyIdentity(): void {
    if (!this.#isFleetHost()) return;
    const text = readInside(this.root, "/etc/flotilla/identity.json");
    if (text === undefined || text === this.#identity) return;
    this.#identity = text;
    const keys = authorizedKeysOf(text);
    if (keys === undefined) return;
    mkdirSync(join(this.root, IDENTITY_KEYS, ".."), { recursive: true });
    writeFileSync(join(this.root, IDENTITY_KEYS), `${keys.join("\n")}\n`);
  }
}

function authorizedKeysOf(identity: string): readonly string[] | undefined {
  try {
    const { version, authorizedKeys } = JSON.parse(identity) as Partial<Identity>;
    return version === 1 ? authorizedKeys : undefined;
  } catch {
    return undefined;
  }
}

/** What the boot loader finds. */
function bootable(root: string): Phase {
  if (readInside(root, "/boot/default-system/nixos-version") !== undefined) return "nixos";
  return readInside(root, "/etc/os-release")?.includes("ID=ubuntu") === true ? "ubuntu" : "dead";
}

function ended(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  child.stdout?.resume();
  child.stderr?.resume();
  return new Promise((resolve) => child.once("close", () => resolve()));
}

function meminfo(memoryMib: number): string {
  const kib = memoryMib * 1024;
  const line = (name: string, value: number) => `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`;
  const free = Math.floor(kib * 0.9);
  return (
    line("MemTotal", kib) +
    line("MemFree", free) +
    line("MemAvailable", free) +
    line("SwapTotal", 0) +
    line("SwapFree", 0)
  );
}
