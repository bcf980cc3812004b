/**
 * A running machine: a process of its own mount and PID namespace whose root is the host's directory. Commands join
 * it; when it ends, so does all that runs in it, and its mounts are gone. It ends with this process at the latest.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Layout {
  /** The host's root directory. */
  readonly root: string;
  /** A directory for what the namespace needs on this side. */
  readonly scratch: string;
  /** This machine's files and directories, by the path at which the host sees them. */
  readonly binds: Readonly<Record<string, string>>;
  /** Device paths that are block devices on the host. */
  readonly disks: readonly string[];
  /** Other names of devices: target by link. */
  readonly links: Readonly<Record<string, string>>;
  readonly kvm: boolean;
  /** NixOS has bash as /bin/sh; Debian and Ubuntu do not. */
  readonly bashIsSh: boolean;
}

/** Why a machine stopped: it asked for it, or it was killed. */
export type End = "reboot" | "kexec" | "killed";

const ROOT = process.getuid?.() === 0;
const UNSHARE = [ROOT ? "-m" : "-Urm", "-u", "-p", "-f", "--kill-child"];
const ENTER = [...(ROOT ? [] : ["-U", "--preserve-credentials"]), "-m", "-u", "-p", "-r", "-w"];
const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];
const BASH = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].find((path) => existsSync(path));
const SHELL = BASH ?? "/bin/sh";

export class Namespace {
  readonly ended: Promise<End>;
  readonly #process: ChildProcess;
  readonly #pid: string;

  private constructor(process: ChildProcess, pid: string, ended: Promise<End>) {
    this.#process = process;
    this.#pid = pid;
    this.ended = ended;
  }

  static async start(layout: Layout): Promise<Namespace> {
    const holder = spawn("unshare", [...UNSHARE, "sh", "-c", script(layout)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    holder.stdin?.on("error", () => {});
    const ended = new Promise<End>((resolve) => {
      holder.once("error", () => resolve("killed"));
      holder.once("exit", (code) => resolve(code === 10 ? "reboot" : code === 11 ? "kexec" : "killed"));
    });
    let complaint = "";
    holder.stderr?.on("data", (chunk) => {
      complaint = `${complaint}${chunk}`.slice(-1000);
    });
    const pid = await new Promise<string | undefined>((resolve) => {
      if (holder.stdout !== null) createInterface(holder.stdout).once("line", resolve);
      void ended.then(() => resolve(undefined));
    });
    if (pid === undefined) throw new Error(`a simulated host cannot start: ${complaint.trim()}`);
    return new Namespace(holder, pid, ended);
  }

  /** Runs a command line as the login shell of root would. */
  exec(command: string, env: Readonly<Record<string, string>>): ChildProcess {
    return spawn(nsenter(), ["-t", this.#pid, ...ENTER, "--", SHELL, "-c", command], {
      stdio: ["pipe", "pipe", "pipe"],
      env,
    });
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }
}

let found: string | undefined;
function nsenter(): string {
  found ??= [
    "/usr/bin/nsenter",
    "/bin/nsenter",
    "/usr/sbin/nsenter",
    "/run/current-system/sw/bin/nsenter",
  ].find((path) => existsSync(path));
  return found ?? "nsenter";
}

/** Says in one error why simulated hosts cannot run here; returns when they can. */
export function requireNamespaces(): void {
  const tried = spawnSync("unshare", [...UNSHARE, "true"], { encoding: "utf8" });
  if (tried.status === 0) return;
  const why = tried.error?.message ?? tried.stderr.trim();
  throw new Error(
    `Simulated hosts need namespaces of their own, and this machine refuses them (unshare ${UNSHARE.join(" ")}: ${why}). ` +
      "Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; " +
      "in a container: --security-opt seccomp=unconfined), or rehearse as root.",
  );
}

function script(layout: Layout): string {
  const { root, scratch } = layout;
  const table: string[] = [];
  const bind = (from: string, to: string, options = "rbind") =>
    table.push(`${field(from)} ${field(join(root, to))} none ${options} 0 0`);
  for (const name of [
    "proc",
    "dev",
    "sys",
    "root",
    "tmp",
    "etc",
    "run",
    "var",
    "nix",
    "home",
    "boot",
    "mnt",
    "opt",
  ])
    mkdirSync(join(root, name), { recursive: true });
  for (const name of ["usr", "bin", "sbin", "lib", "lib32", "lib64"]) {
    const own = lstatSync(`/${name}`, { throwIfNoEntry: false });
    if (own === undefined) continue;
    if (own.isSymbolicLink()) {
      if (
        !existsSync(join(root, name)) &&
        lstatSync(join(root, name), { throwIfNoEntry: false }) === undefined
      )
        symlinkSync(readlinkSync(`/${name}`), join(root, name));
    } else {
      mkdirSync(join(root, name), { recursive: true });
      // An ordinary user cannot write there anyhow, and may not remount what is not theirs.
      bind(`/${name}`, name, ROOT ? "rbind,ro" : "rbind");
    }
  }
  for (const name of DEVICES) bind(`/dev/${name}`, `dev/${name}`);
  if (layout.kvm) bind("/dev/null", "dev/kvm");
  for (const [to, from] of Object.entries(layout.binds)) {
    if (!to.startsWith("/proc/")) touchLike(from, join(root, to));
    bind(from, to);
  }
  if (layout.bashIsSh && BASH !== undefined) bind(BASH, "bin/sh");
  const fstab = join(scratch, "fstab");
  mkdirSync(scratch, { recursive: true });
  writeFileSync(fstab, `${table.join("\n")}\n`);

  const devices = [...DEVICES, ...(layout.kvm ? ["kvm"] : [])];
  const spare = spareBlockDevice();
  // It says its pid when its root is the host's: who joins it before would work on this machine's files.
  return `set -e
read -r pid _ < /proc/self/stat
cd ${quote(root)}
mount -t proc proc proc 2>/dev/null || mount --rbind /proc proc
mount -t tmpfs -o mode=755 tmpfs dev
touch ${devices.map((name) => `dev/${name}`).join(" ")}
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mkdir -m 1777 dev/shm
mount -a --fstab ${quote(fstab)}
${layout.disks.map((disk) => blockDevice(disk, spare)).join("\n")}
${Object.entries(layout.links).map(deviceLink).join("\n")}
exec chroot . /bin/sh -c 'cd /root; echo "$0"; exec 3<&0 >/dev/null 2>&1; trap "exit 10" USR1; trap "exit 11" USR2; cat <&3 & wait $!' "$pid"`;
}

/** A device that is a block device to every test and that nobody can open: of no driver, or without device access. */
function blockDevice(disk: string, spare: string | undefined): string {
  const path = quote(disk.slice(1));
  const borrowed =
    spare === undefined
      ? ":"
      : `{ touch ${path}; mount --bind ${quote(spare)} ${path}; mount -o remount,bind,nodev ${path}; }`;
  return `mkdir -p "$(dirname ${path})"; mknod ${path} b 120 0 2>/dev/null || ${borrowed}`;
}

function deviceLink([link, target]: readonly [string, string]): string {
  const path = quote(link.slice(1));
  return `mkdir -p "$(dirname ${path})"; ln -sf ${quote(target)} ${path}`;
}

function spareBlockDevice(): string | undefined {
  return readdirSync("/dev")
    .map((name) => `/dev/${name}`)
    .find((path) => lstatSync(path, { throwIfNoEntry: false })?.isBlockDevice() === true);
}

function touchLike(from: string, to: string): void {
  if (lstatSync(from).isDirectory()) return void mkdirSync(to, { recursive: true });
  mkdirSync(join(to, ".."), { recursive: true });
  if (!existsSync(to)) writeFileSync(to, "");
}

/** A field of an fstab, where a space separates. */
function field(path: string): string {
  return path.replaceAll("\\", "\\134").replaceAll(" ", "\\040").replaceAll("\t", "\\011");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
