/**
 * Stand-in for `nixos-anywhere`, started by the shim in a world's bin directory: the command line, the order of phases,
 * the messages and the exit codes of the real one, through real ssh. As the real one, it tries a target that does not
 * answer for ever, and puts StrictHostKeyChecking=no before every other option.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { openWorld } from "../world.ts";
import { copyTo } from "./copy.ts";
import { NixError, Store } from "./store.ts";

const PHASES = ["kexec", "disko", "install", "reboot"] as const;
type Phase = (typeof PHASES)[number];

/** Waiting is shortened: the machines are simulated, and answer at once. */
const POLL_MILLIS = 200;

class Abort extends Error {
  readonly code: number;
  constructor(code: number, message = "") {
    super(message);
    this.code = code;
  }
}
const abort = (message: string): never => {
  throw new Abort(1, `aborted: ${message}`);
};

interface Options {
  target: string;
  identityFile: string | undefined;
  flake: string | undefined;
  storePaths: readonly [string, string] | undefined;
  extraFiles: string | undefined;
  copyHostKeys: boolean;
  forceKexec: boolean;
  readonly ownerships: [string, string][];
  readonly diskKeys: [string, string][];
  phases: readonly Phase[];
  postKexecPort: string;
  readonly sshArgs: string[];
}

const [worldDir = "", ...argv] = process.argv.slice(2);
const world = openWorld(worldDir);
const store = new Store(world, "nixos-anywhere");
const tempDir = mkdtempSync(join(tmpdir(), "nixos-anywhere-"));
const key = join(tempDir, "nixos-anywhere");
let running: ChildProcess | undefined;

function parse(args: readonly string[]): Options {
  const options: Options = {
    target: "",
    identityFile: undefined,
    flake: undefined,
    storePaths: undefined,
    extraFiles: undefined,
    copyHostKeys: false,
    forceKexec: false,
    ownerships: [],
    diskKeys: [],
    phases: PHASES,
    postKexecPort: "22",
    sshArgs: [
      ...[
        "-o",
        "IdentitiesOnly=yes",
        "-i",
        key,
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=no",
      ],
    ],
  };
  const rest = [...args];
  const next = (flag: string) => rest.shift() ?? abort(`${flag} needs a value`);
  let diskoMode = false;
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    switch (flag) {
      case "-f":
      case "--flake":
        options.flake = next(flag);
        break;
      case "--target-host":
        options.target = next(flag);
        break;
      case "-i":
        options.identityFile = next(flag);
        break;
      case "-p":
      case "--ssh-port":
        options.sshArgs.push("-p", next(flag));
        break;
      case "--ssh-option":
        options.sshArgs.push("-o", next(flag));
        break;
      case "-s":
      case "--store-paths":
        options.storePaths = [next(flag), next(flag)];
        break;
      case "--extra-files":
        options.extraFiles = next(flag);
        break;
      case "--chown":
        options.ownerships.push([next(flag), next(flag)]);
        break;
      case "--disk-encryption-keys":
        options.diskKeys.push([next(flag), next(flag)]);
        break;
      case "--copy-host-keys":
        options.copyHostKeys = true;
        break;
      case "--force-kexec":
        options.forceKexec = true;
        break;
      case "--post-kexec-ssh-port":
        options.postKexecPort = next(flag);
        break;
      case "--phases":
        options.phases = next(flag)
          .split(",")
          .map((name) => PHASES.find((phase) => phase === name) ?? abort(`Unknown phase: ${name}`));
        break;
      case "--disko-mode":
        next(flag);
        diskoMode = true;
        break;
      case "--build-on": {
        const where = next(flag);
        if (!["auto", "local", "remote"].includes(where))
          abort(`Supported values for --build-on are auto, local and remote. Unknown mode : ${where}`);
        break;
      }
      case "--stop-after-disko":
        console.log("WARNING: --stop-after-disko is deprecated, use --phases kexec,disko instead");
        options.phases = ["kexec", "disko"];
        break;
      case "--no-reboot":
        console.log("WARNING: --no-reboot is deprecated, use --phases kexec,disko,install instead");
        options.phases = ["kexec", "disko", "install"];
        break;
      case "--kexec":
      case "--kexec-extra-flags":
      case "--from":
        next(flag);
        break;
      case "--option":
      case "--ssh-store-setting":
        next(flag);
        next(flag);
        break;
      case "-L":
      case "--print-build-logs":
      case "--debug":
      case "--show-trace":
      case "--no-disko-deps":
      case "--no-substitute-on-destination":
      case "--no-use-machine-substituters":
        break;
      default:
        if (options.target !== "" || flag.startsWith("-")) {
          console.log("Usage: nixos-anywhere [options] [<ssh-host>]");
          throw new Abort(1);
        }
        options.target = flag;
    }
  }
  if (diskoMode && options.storePaths !== undefined)
    abort("--disko-mode cannot be used if --store-paths is used");
  if (options.target === "") abort("ssh-host must be set");
  return options;
}

interface Facts {
  readonly isOs: string;
  readonly isInstaller: string;
  readonly isRoot: string;
  readonly hasTar: string;
  readonly hasCpio: string;
  readonly hasSetsid: string;
}

const FACTS = `has() { command -v "$1" >/dev/null && echo y || echo n; }
echo isOs=$(uname)
echo isArch=$(uname -m)
if grep -Eq 'ID(_LIKE)?="?nixos"?' /etc/os-release && grep -Eq 'VARIANT_ID="?installer"?' /etc/os-release
then echo isInstaller=y; else echo isInstaller=n; fi
if [ "$(id -u)" -eq 0 ]; then echo isRoot=y; else echo isRoot=n; fi
echo hasTar=$(has tar)
echo hasCpio=$(has cpio)
echo hasSetsid=$(has setsid)
`;

const step = (text: string) => console.log(`### ${text} ###`);
const pause = () => new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));

class Installation {
  readonly #options: Options;
  #target: string;

  constructor(options: Options) {
    this.#options = options;
    this.#target = options.target;
  }

  async run(): Promise<void> {
    const { phases } = this.#options;
    const [disko, system] = this.#paths();
    const host = this.#target.replace(/^.*@/, "");
    if (!phases.includes("kexec")) this.#target = `root@${host}`;
    await this.#uploadKey();
    let facts = await this.#facts();
    if (facts.hasTar === "n") abort("no tar command found, but required to unpack kexec tarball");
    if (facts.hasCpio === "n") abort("no cpio command found, but required to build the new initrd");
    if (facts.hasSetsid === "n")
      abort(
        "no setsid command respecting --wait found, but required to run the kexec script under a new session",
      );
    if (facts.isOs !== "Linux")
      abort(`This script requires Linux as the operating system, but got ${facts.isOs}`);
    if (phases.includes("kexec") && (facts.isInstaller !== "y" || this.#options.forceKexec)) {
      await this.#kexec();
      this.#target = `root@${host}`;
      while ((await this.#try("exit 0", ["-o", "ConnectTimeout=10"])) !== 0) await pause();
      facts = await this.#facts();
      if (facts.isInstaller === "n") abort("Failed to kexec into NixOS installer");
    }
    if (phases.includes("disko")) await this.#disko(disko);
    if (phases.includes("install")) await this.#install(system);
    if (phases.includes("reboot")) await this.#reboot();
    step("Done!");
  }

  /** Disko script and system, from the options or built. */
  #paths(): readonly [string, string] {
    const { storePaths, flake } = this.#options;
    if (storePaths !== undefined) {
      const [disko, system] = storePaths;
      if (!store.has(disko) || !store.has(system))
        abort(`${disko} and ${system} must be existing store-paths`);
      return storePaths;
    }
    if (flake === undefined) return abort("--flake or --store-paths must be set");
    const [, directory, kind] =
      /^(?:path:)?([^#]+)#(?:nixosConfigurations\.)?"?([^"]+?)"?$/.exec(flake) ?? [];
    if (directory === undefined || kind === undefined) {
      console.error(
        "Please specify the name of the NixOS configuration to be installed, as a URI fragment in the flake-uri.",
      );
      throw new Abort(1);
    }
    return [
      store.realise(store.instantiate(directory, kind, "diskoScript")),
      store.realise(store.instantiate(directory, kind, "toplevel")),
    ];
  }

  async #uploadKey(): Promise<void> {
    const { identityFile } = this.#options;
    if (identityFile === undefined)
      spawnSync("ssh-keygen", ["-t", "ed25519", "-f", key, "-P", "", "-C", "nixos-anywhere", "-q"]);
    else {
      copyFileSync(identityFile, key);
      const { stdout } = spawnSync("ssh-keygen", ["-y", "-f", key], { encoding: "utf8" });
      writeFileSync(`${key}.pub`, stdout);
    }
    const publicKey = readFileSync(`${key}.pub`, "utf8").trim();
    step("Uploading install SSH keys");
    // What ssh-copy-id does. Whatever goes wrong, also a refused login, is tried again.
    const command = `umask 077; mkdir -p ~/.ssh; key='${publicKey}'; grep -qxF "$key" ~/.ssh/authorized_keys 2>/dev/null || echo "$key" >> ~/.ssh/authorized_keys`;
    while ((await this.#try(command, ["-o", "IdentitiesOnly=no", "-o", "ConnectTimeout=10"])) !== 0)
      await pause();
  }

  async #facts(): Promise<Facts> {
    step("Gathering machine facts");
    const text = await this.#output("enableDebug= sh --", FACTS, ["-o", "ConnectTimeout=10"]);
    const facts = new Map(
      text.split("\n").map((line) => [line.split("=")[0] ?? "", line.split("=")[1] ?? ""]),
    );
    const fact = (name: keyof Facts) => facts.get(name) || abort(`Failed to retrieve fact ${name} from host`);
    return {
      isOs: fact("isOs"),
      isInstaller: fact("isInstaller"),
      isRoot: fact("isRoot"),
      hasTar: fact("hasTar"),
      hasCpio: fact("hasCpio"),
      hasSetsid: fact("hasSetsid"),
    };
  }

  async #kexec(): Promise<void> {
    step("Switching system into kexec");
    const before = await this.#bootId();
    await this.#ssh('mkdir -p "$HOME/kexec" && cat > "$HOME/kexec/nixos-anywhere-kexec.sh"', {
      input: "echo Downloading kexec tarball, this may take a moment...\nrehearsal-kexec\n",
    });
    await this.#ssh('sh "$HOME/kexec/nixos-anywhere-kexec.sh"');
    await this.#gone(before);
    const port = this.#options.sshArgs.indexOf("-p");
    if (port >= 0) this.#options.sshArgs[port + 1] = this.#options.postKexecPort;
  }

  async #disko(script: string): Promise<void> {
    for (const [remote, local] of this.#options.diskKeys) {
      step(`Uploading ${local} to ${remote}`);
      await this.#ssh(`umask 077; mkdir -p "${dirname(remote)}"; cat > ${remote}`, {
        stream: createReadStream(local),
      });
    }
    await this.#copy(script);
    step("Formatting hard drive with disko");
    await this.#ssh(script);
  }

  async #install(system: string): Promise<void> {
    step("Uploading the system closure");
    await this.#copy(system, "local?root=/mnt");
    const { extraFiles, ownerships, copyHostKeys } = this.#options;
    if (extraFiles !== undefined) {
      step("Copying extra files");
      const tar = spawn("tar", ["-C", extraFiles, "-cpf-", "."], { stdio: ["ignore", "pipe", "inherit"] });
      await this.#ssh("tar -C /mnt -xf- --no-same-owner", { stream: tar.stdout });
      await this.#ssh("chmod 755 /mnt");
    }
    if (ownerships.length > 0)
      await this.#ssh('while read file ownership; do chown -R "$ownership" "/mnt/$file"; done', {
        input: ownerships.map(([path, owner]) => `${path} ${owner}\n`).join(""),
      });
    step("Installing NixOS");
    const hostKeys = `mkdir -m 755 -p /mnt/etc/ssh
for p in /etc/ssh/ssh_host_*; do [ -e "$p" ] && [ ! -e "/mnt/$p" ] && cp -a "$p" "/mnt/$p"; done`;
    await this.#ssh("sh", {
      input: `set -eu
${copyHostKeys ? hostKeys : ""}
nixos-install --no-root-passwd --no-channel-copy --system "${system}"
`,
    });
  }

  async #reboot(): Promise<void> {
    step("Rebooting");
    const before = await this.#bootId();
    await this.#ssh("sh", { input: "nohup sh -c 'sleep 0.3 && reboot' >/dev/null 2>&1 &\n" });
    step("Waiting for the machine to become unreachable due to reboot");
    await this.#gone(before);
  }

  async #copy(path: string, remoteStore?: string): Promise<void> {
    const target = {
      scheme: "ssh",
      host: this.#target,
      ...(remoteStore === undefined ? {} : { remoteStore }),
    };
    try {
      await copyTo(store, target, [path], this.#options.sshArgs, (line) => console.error(line));
    } catch (error) {
      if (!(error instanceof NixError)) throw error;
      throw new Abort(1, `error: ${error.message}`);
    }
  }

  /** A boot id tells of a restart that was too quick to be seen as an unreachable machine. */
  async #gone(before: string): Promise<void> {
    while ((await this.#bootId().catch(() => undefined)) === before) await pause();
  }

  #bootId(): Promise<string> {
    return this.#output("cat /proc/sys/kernel/random/boot_id", "", ["-o", "ConnectTimeout=10"]);
  }

  async #try(command: string, options: readonly string[]): Promise<number> {
    const { code } = await this.#spawn(command, options, {}, "inherit");
    return code;
  }

  async #output(command: string, input: string, options: readonly string[] = []): Promise<string> {
    const { code, output } = await this.#spawn(command, options, { input }, "pipe");
    if (code !== 0) throw new Abort(code);
    return output;
  }

  async #ssh(
    command: string,
    stdin: { readonly input?: string; readonly stream?: Readable } = {},
  ): Promise<void> {
    const { code } = await this.#spawn(command, [], stdin, "inherit");
    if (code !== 0) throw new Abort(code);
  }

  async #spawn(
    command: string,
    options: readonly string[],
    stdin: { readonly input?: string; readonly stream?: Readable },
    stdout: "inherit" | "pipe",
  ): Promise<{ readonly code: number; readonly output: string }> {
    // The real program is wrapped: the tools that it needs come before all others on its PATH.
    const env = { ...process.env, PATH: `/nonexistent/nixos-anywhere-tools:${process.env.PATH ?? ""}` };
    const child = spawn("ssh", ["-T", ...options, ...this.#options.sshArgs, this.#target, command], {
      env,
      stdio: ["pipe", stdout, "inherit"],
    });
    running = child;
    child.stdin?.on("error", () => {});
    if (stdin.stream !== undefined && child.stdin !== null) stdin.stream.pipe(child.stdin);
    else child.stdin?.end(stdin.input ?? "");
    let output = "";
    child.stdout?.on("data", (chunk) => {
      output += chunk;
    });
    const code = await new Promise<number>((resolve) => {
      child.once("error", () => resolve(127));
      child.once("close", (status) => resolve(status ?? 255));
    });
    running = undefined;
    return { code, output };
  }
}

function cleanUp(): void {
  rmSync(tempDir, { recursive: true, force: true });
}
// Not once: timeout(1) signals the process and its group, and the second signal must not cut the clean-up short.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
  process.on(signal, () => {
    running?.kill();
    cleanUp();
    process.exit(128 + (signal === "SIGTERM" ? 15 : signal === "SIGINT" ? 2 : 1));
  });

console.error("nixos-anywhere: a stand-in of the rehearsal");
try {
  const options = parse(argv);
  world.record({ part: "nixos-anywhere", call: options.phases.join(","), detail: options.target });
  await new Installation(options).run();
} catch (error) {
  if (!(error instanceof Abort) && !(error instanceof NixError)) throw error;
  if (error.message !== "")
    console.error(error instanceof NixError ? `error: ${error.message}` : error.message);
  process.exitCode = error instanceof Abort ? error.code : 1;
} finally {
  cleanUp();
}
