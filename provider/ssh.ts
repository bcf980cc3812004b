/**
 * The one way to a host: by its name, through a generated ssh_config that knows address, port and host key. An `ssh`
 * first on PATH holds every tool that we start to it, also those that would switch host key checks off.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lastWords, type RunResult, run } from "./process.ts";

export interface Connection {
  readonly host: string;
  readonly address: string;
  readonly sshPort: number;
  /** Public keys that the host may show. */
  readonly hostKeys: readonly string[];
}

export interface RemoteOptions {
  readonly signal: AbortSignal;
  readonly timeoutSeconds: number;
  readonly input?: string;
  readonly onLine?: (line: string) => void;
}

/** ssh's own exit code when the connection failed. */
const connectionFailed = 255;
/** A session that lasted longer than a connection takes to come about was one. */
const longestConnectMs = 30_000;
/** What ssh says of a host that is there. */
const refusal =
  /Permission denied|Host key verification failed|Too many authentication failures|server \S+ not responding|closed by remote host/;
/** How long a refused login is tried again. */
const deniedSeconds = 30;

export class Ssh {
  /** For every program that reaches hosts. */
  readonly env: NodeJS.ProcessEnv;
  readonly #dir = mkdtempSync(join(tmpdir(), "flotilla-"));
  readonly #connections = new Map<string, Connection>();
  #agent: ChildProcess | undefined;

  /**
   * nixos-anywhere brings a key of its own and means no other to be tried; a host of the fleet lets in its operators
   * alone, so theirs are tried as well.
   */
  constructor(privateKey: string | undefined) {
    const bin = join(this.#dir, "bin");
    mkdirSync(bin);
    const config = join(this.#dir, "ssh_config");
    const path = process.env.PATH ?? "";
    writeFileSync(
      join(bin, "ssh"),
      `#!/bin/sh\nexec ${realSsh(path)} -F ${config} -o IdentitiesOnly=no -o StrictHostKeyChecking=yes -o UserKnownHostsFile=${this.#dir}/known_hosts "$@"\n`,
    );
    chmodSync(join(bin, "ssh"), 0o755);
    this.env = {
      ...withoutCredentials(process.env),
      PATH: `${bin}${delimiter}${path}`,
      SSH_CONFIG_FILE: config,
    };
    this.#write();
    if (privateKey !== undefined) this.env.SSH_AUTH_SOCK = this.#startAgent(privateKey);
  }

  /** Makes a host reachable by its name; a second call replaces what was known of it. */
  connect(connection: Connection): void {
    this.#connections.set(connection.host, connection);
    this.#write();
  }

  /** Runs a command on a host. A connection that fails is tried again for `retrySeconds`. */
  async remote(
    host: string,
    command: string,
    options: RemoteOptions & { readonly retrySeconds?: number },
  ): Promise<RunResult> {
    const { retrySeconds = 0, ...rest } = options;
    const start = Date.now();
    let answered = false;
    for (let delay = 500; ; delay = Math.min(delay * 2, 10_000)) {
      const began = Date.now();
      const result = await run("ssh", [host, command], { ...rest, env: this.env });
      if (result.code !== connectionFailed) return result;
      answered ||= Date.now() - began > longestConnectMs || result.tail.some((line) => refusal.test(line));
      // A machine that has just booted may know its keys a moment after it answers.
      const denied = result.tail.some((line) => line.includes("Permission denied"));
      const patience = denied ? Math.min(retrySeconds, deniedSeconds) : retrySeconds;
      if (Date.now() + delay > start + patience * 1000)
        throw answered
          ? new Error(`${host} is there, but cannot be used over SSH${lastWords(result.tail)}`)
          : new Unreachable(`${host} does not answer over SSH${lastWords(result.tail)}`);
      await sleep(delay * (0.5 + Math.random()), undefined, { signal: options.signal });
    }
  }

  close(): void {
    this.#agent?.stdin?.end();
    // Before the agent removes its socket: two that remove one directory leave the rest of it.
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /**
   * The key goes to an agent of our own by its standard input, never to a file. It ends when its command
   * does, whose input ends with us, however we end; a process group of its own keeps Ctrl-C from it.
   */
  #startAgent(privateKey: string): string {
    const socket = join(this.#dir, "agent");
    this.#agent = spawn("ssh-agent", ["-a", socket, "sh", "-c", 'cat; kill "$SSH_AGENT_PID"'], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#agent.on("error", () => undefined);
    try {
      execFileSync(
        "sh",
        [
          "-c",
          'n=0; until [ -S "$0" ] || [ $((n += 1)) -gt 100 ]; do sleep 0.05; done; exec ssh-add -q -',
          socket,
        ],
        {
          input: privateKey.endsWith("\n") ? privateKey : `${privateKey}\n`,
          env: { ...process.env, SSH_AUTH_SOCK: socket },
          stdio: ["pipe", "ignore", "ignore"],
          timeout: 10_000,
        },
      );
    } catch {
      this.close();
      throw new Error(
        "ssh-add does not take the key of flotilla:credentials.ssh.privateKey; give it whole, in OpenSSH's form and without a passphrase",
      );
    }
    return socket;
  }

  #write(): void {
    const all = [...this.#connections.values()];
    const hosts = all.map(({ host, address, sshPort }) =>
      [
        `Host ${host}`,
        `  HostName ${address}`,
        `  Port ${sshPort}`,
        "  User root",
        `  HostKeyAlias ${host}`,
      ].join("\n"),
    );
    const common = [
      "Host *",
      "  BatchMode yes",
      "  StrictHostKeyChecking yes",
      `  UserKnownHostsFile ${this.#dir}/known_hosts`,
      "  GlobalKnownHostsFile /dev/null",
      "  UpdateHostKeys no",
      "  ConnectTimeout 15",
      "  ServerAliveInterval 15",
      "  ServerAliveCountMax 4",
    ].join("\n");
    const known = all.flatMap(({ host, hostKeys }) => hostKeys.map((key) => `${host} ${key}`));
    replaceFile(join(this.#dir, "known_hosts"), `${known.join("\n")}\n`);
    replaceFile(join(this.#dir, "ssh_config"), `${[...hosts, common].join("\n\n")}\n`);
  }
}

/** The ssh that is meant by PATH; by its own path, since a tool may put others of its own before our directory. */
function realSsh(path: string): string {
  const found = path
    .split(delimiter)
    .map((directory) => join(directory, "ssh"))
    .find(existsSync);
  if (found === undefined) throw new Error("ssh is not on PATH; install an OpenSSH client");
  return found;
}

/** No program that reaches hosts needs what Pulumi and the clouds are logged in with. */
function withoutCredentials(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^PULUMI_.*(PASSPHRASE|TOKEN)|^(HCLOUD|DIGITALOCEAN|VAULT)_TOKEN$/.test(name),
    ),
  );
}

/** Nothing was heard of the host in the time given: neither a refusal nor a session that broke. */
export class Unreachable extends Error {}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
