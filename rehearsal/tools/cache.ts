/**
 * Tools made once for this user: `<cache>/flotilla/<tool>-<version>/<tool>`. A tool's directory appears whole, by one
 * rename, or not at all; one process makes it while others wait.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isExecutable } from "./path.ts";
import { say } from "./progress.ts";

const heartbeatMs = 10_000;
/** A lock not touched for this long belongs to a machine that sleeps or a container that is gone. */
const staleMs = 60_000;
const pollMs = 250;

export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "flotilla");
}

/** Path of the cached executable, or undefined. */
export function findCached(cache: string, tool: string, version: string): string | undefined {
  const executable = join(cache, `${tool}-${version}`, tool);
  return isExecutable(executable) ? executable : undefined;
}

/** Returns the cached executable; `make` fills an empty directory with it when it is not there yet. */
export async function cached(
  cache: string,
  tool: string,
  version: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const found = findCached(cache, tool, version);
  if (found !== undefined) return found;
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  return withLock(join(cache, `${tool}-${version}.lock`), `${tool} ${version}`, async () => {
    const made = findCached(cache, tool, version);
    if (made !== undefined) return made;

    const final = join(cache, `${tool}-${version}`);
    removeAbandoned(cache, `${tool}-${version}.making-`);
    const making = join(cache, `${tool}-${version}.making-${process.pid}`);
    try {
      mkdirSync(making);
      await make(making);
      if (!isExecutable(join(making, tool)))
        throw new Error(`${tool} ${version} was made without its executable`);
      rmSync(final, { recursive: true, force: true });
      renameSync(making, final);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
    return join(final, tool);
  });
}

/** What killed processes left behind. */
function removeAbandoned(cache: string, prefix: string): void {
  for (const entry of readdirSync(cache)) {
    if (entry.startsWith(prefix) && !isAlive(Number(entry.slice(prefix.length)))) {
      rmSync(join(cache, entry), { recursive: true, force: true });
    }
  }
}

/** At worst, when a lock is taken over by two at once, the tool is made twice; the last rename wins. */
async function withLock<T>(file: string, what: string, step: () => Promise<T>): Promise<T> {
  await takeLock(file, what);
  const heartbeat = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(file, now, now);
    } catch {
      // Removed by hand: the step goes on, its result is the same.
    }
  }, heartbeatMs);
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  try {
    return await step();
  } finally {
    clearInterval(heartbeat);
    process.off("exit", release);
    release();
  }
}

async function takeLock(file: string, what: string): Promise<void> {
  for (let told = false; ; await sleep(pollMs)) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return;
    } catch (error) {
      if (!isErrorCode(error, "EEXIST")) throw error;
    }
    const holder = readHolder(file);
    if (holder === undefined) continue;
    if (holder.stale) {
      rmSync(file, { force: true });
    } else if (!told) {
      told = true;
      say(`process ${holder.pid} is making ${what}; waiting for it`);
    }
  }
}

function readHolder(file: string): { readonly pid: number; readonly stale: boolean } | undefined {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    const ageMs = Date.now() - statSync(file).mtimeMs;
    return { pid, stale: ageMs > staleMs || (pid > 0 && !isAlive(pid)) };
  } catch (error) {
    if (isErrorCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrorCode(error, "EPERM");
  }
}

function isErrorCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
