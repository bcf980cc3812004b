/**
 * The real Vault (or OpenBao) of a rehearsal: storage in the world's directory, one unseal key kept beside it. Its
 * policies, roles and limits are enforced as in production; that its key lies next to its storage is what makes it a
 * rehearsal's.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { World } from "../world.ts";
import { ensureVault } from "./vault.ts";

const startMs = 15_000;
const requestMs = 5_000;
const pollMs = 20;

export interface VaultServer {
  /** `http://127.0.0.1:PORT` */
  readonly address: string;
  readonly rootToken: string;
  close(): Promise<void>;
}

const Keys = z.object({ unsealKey: z.string(), rootToken: z.string() });
type Keys = z.infer<typeof Keys>;

interface Place {
  readonly config: string;
  readonly storage: string;
  readonly log: string;
  readonly audit: string;
  readonly keys: string;
}

/** Starts the server, initialises it the first time (2 s, later starts take 0.2 s), and unseals it. It ends with this process, however that ends. */
export async function startVault(
  world: Pick<World, "dir" | "port">,
  executable?: string,
): Promise<VaultServer> {
  const program = executable ?? (await ensureVault());
  const port = await world.port("vault");
  const clusterPort = await world.port("vault-cluster");
  const address = `http://127.0.0.1:${port}`;
  const place = prepare(world.dir);
  writeFileSync(place.config, JSON.stringify(renderConfig(program, port, clusterPort, place)), {
    mode: 0o600,
  });

  const server = await launch(program, place);
  try {
    if (!existsSync(place.keys)) await initialise(address, place.keys);
    const keys = readKeys(place.keys);
    await unseal(address, keys.unsealKey, place.log);
    await enableAudit(address, keys.rootToken, place.audit);
    return { address, rootToken: keys.rootToken, close: () => stop(server) };
  } catch (error) {
    await stop(server);
    throw error;
  }
}

function prepare(world: string): Place {
  const directory = join(world, "vault");
  const secrets = join(world, "secrets");
  const place = {
    config: join(directory, "config.json"),
    storage: join(directory, "storage"),
    log: join(directory, "server.log"),
    audit: join(directory, "audit.log"),
    keys: join(secrets, "vault.json"),
  };
  // Without its key the storage can never be opened again: its initialisation was cut off, so it holds nothing.
  if (!existsSync(place.keys)) rmSync(place.storage, { recursive: true, force: true });
  for (const needed of [place.storage, secrets]) mkdirSync(needed, { recursive: true, mode: 0o700 });
  return place;
}

function renderConfig(program: string, port: number, clusterPort: number, place: Place): object {
  const isOpenBao = basename(program) === "bao";
  const cluster = `127.0.0.1:${clusterPort}`;
  return {
    // The one storage on disk that every build of Vault and OpenBao has. The multiplier is the shortest election.
    storage: { raft: { path: place.storage, node_id: "rehearsal", performance_multiplier: "1" } },
    listener: { tcp: { address: `127.0.0.1:${port}`, cluster_address: cluster, tls_disable: true } },
    api_addr: `http://127.0.0.1:${port}`,
    cluster_addr: `https://${cluster}`,
    disable_mlock: true,
    ui: false,
    log_level: "warn",
    // OpenBao takes audit devices from its configuration only.
    ...(isOpenBao ? { audit: [{ file: { file: { options: { file_path: place.audit } } } }] } : {}),
  };
}

/** Starts the process and waits until it listens. A port still held by a server that is just ending is waited for. */
async function launch(program: string, place: Place): Promise<ChildProcess> {
  const deadline = Date.now() + startMs;
  for (;;) {
    const server = spawnServer(program, place);
    const failure = await waitUntilListening(server, place.log, deadline);
    if (failure === undefined) return server;
    await stop(server);
    if (!failure.includes("address already in use") || Date.now() > deadline) {
      throw new Error(`${basename(program)} did not start (its log: ${place.log})\n${failure}`);
    }
    await sleep(pollMs * 5);
  }
}

function spawnServer(program: string, place: Place): ChildProcess {
  const log = openSync(place.log, "w", 0o600);
  // A session of its own: Ctrl-C ends the rehearsal, which still needs its Vault while it stops.
  const server = spawn(program, ["server", `-config=${place.config}`], {
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  if (server.pid !== undefined) {
    // When this process ends, even killed, the pipe closes and the server is ended too.
    const script = 'cat >/dev/null; kill -KILL "$1"';
    const guard = spawn("sh", ["-c", script, "sh", `${server.pid}`], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    guard.unref();
    server.once("exit", () => guard.kill("SIGKILL"));
  }
  return server;
}

/** Undefined when it listens, otherwise the end of its log. */
async function waitUntilListening(
  server: ChildProcess,
  log: string,
  deadline: number,
): Promise<string | undefined> {
  let failed: string | undefined;
  server.once("error", (error) => {
    failed = error.message;
  });
  for (;;) {
    const text = readFileSync(log, "utf8");
    if (/server started!/.test(text)) return undefined;
    const hasEnded = server.exitCode !== null || server.signalCode !== null;
    if (failed !== undefined || hasEnded || Date.now() > deadline) {
      return failed ?? text.trim().split("\n").slice(-10).join("\n");
    }
    await sleep(pollMs);
  }
}

async function unseal(address: string, key: string, log: string): Promise<void> {
  await request(address, "PUT", "sys/unseal", { key });
  for (const deadline = Date.now() + startMs; ; await sleep(pollMs)) {
    // 200: unsealed and active.
    const health = await fetch(`${address}/v1/sys/health`, { signal: AbortSignal.timeout(requestMs) });
    await health.body?.cancel();
    if (health.status === 200) return;
    if (Date.now() > deadline) {
      throw new Error(`Vault stays sealed or inactive (health ${health.status}; its log: ${log})`);
    }
  }
}

function readKeys(file: string): Keys {
  const keys = Keys.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (!keys.success)
    throw new Error(`${file} does not hold Vault's keys; remove it to start with an empty Vault`);
  return keys.data;
}

async function initialise(address: string, file: string): Promise<void> {
  const answer = z
    .object({ keys_base64: z.tuple([z.string()]), root_token: z.string() })
    .parse(await request(address, "PUT", "sys/init", { secret_shares: 1, secret_threshold: 1 }));
  const keys: Keys = { unsealKey: answer.keys_base64[0], rootToken: answer.root_token };
  writeFileSync(`${file}.new`, JSON.stringify(keys), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

async function enableAudit(address: string, token: string, file: string): Promise<void> {
  const devices = await request(address, "GET", "sys/audit", undefined, token);
  if (typeof devices === "object" && devices !== null && "file/" in devices) return;
  await request(address, "PUT", "sys/audit/file", { type: "file", options: { file_path: file } }, token);
}

async function request(
  address: string,
  method: string,
  path: string,
  body?: object,
  token?: string,
): Promise<unknown> {
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: token === undefined ? {} : { "x-vault-token": token },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(requestMs),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`Vault: ${method} ${path} answered ${response.status}: ${text.trim()}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** Killed, not asked: its storage is made for that, and stepping down first takes it a second. */
async function stop(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  server.kill("SIGKILL");
  await ended;
}
