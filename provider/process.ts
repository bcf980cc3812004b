/** Runs a program to its end, with a time limit, its lines as they come, and no shell. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  /** Ends the program and everything it started. */
  readonly signal?: AbortSignal;
  readonly timeoutSeconds: number;
  /** Each line of stdout and stderr. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  /** The last lines of stdout and stderr together, for a message. */
  readonly tail: readonly string[];
}

const tailLines = 15;

/** Process groups that may not outlive us. */
const running = new Set<number>();
process.on("exit", () => {
  for (const pid of running) signalGroup(pid, "SIGKILL");
});

/** Resolves with any exit code; rejects when the program is missing, cancelled or out of time. */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const limit = AbortSignal.timeout(options.timeoutSeconds * 1000);
  const stop = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  if (stop.aborted) return Promise.reject(new Error(`${command}: cancelled`));

  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  if (child.pid !== undefined) running.add(child.pid);
  const end = () => {
    // Also when the program has ended: what it left behind may hold its output open.
    if (child.pid !== undefined) killGroup(child.pid);
  };
  stop.addEventListener("abort", end, { once: true });

  const tail: string[] = [];
  const stdout: string[] = [];
  const take = (line: string) => {
    tail.push(line);
    if (tail.length > tailLines) tail.shift();
    options.onLine?.(line);
  };
  createInterface({ input: child.stdout }).on("line", (line) => {
    stdout.push(line);
    take(line);
  });
  createInterface({ input: child.stderr }).on("line", take);
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");

  child.on("error", (error: NodeJS.ErrnoException) => {
    stop.removeEventListener("abort", end);
    reject(
      error.code === "ENOENT"
        ? new Error(`${command} is not on PATH; \`nix develop ./nix\` provides it`)
        : error,
    );
  });
  child.on("close", (code, signal) => {
    stop.removeEventListener("abort", end);
    if (child.pid !== undefined) running.delete(child.pid);
    if (options.signal?.aborted) reject(new Error(`${command}: cancelled`));
    else if (limit.aborted)
      reject(new Error(`${command}: no end after ${options.timeoutSeconds} s${lastWords(tail)}`));
    else resolve({ code: code ?? (signal === null ? 1 : 128), stdout: stdout.join("\n"), tail });
  });
  return promise;
}

/** ` — last lines…`, or nothing. */
export function lastWords(tail: readonly string[]): string {
  return tail.length === 0 ? "" : `:\n${tail.map((line) => `    ${line}`).join("\n")}`;
}

function killGroup(pid: number): void {
  signalGroup(pid, "SIGTERM");
  setTimeout(() => signalGroup(pid, "SIGKILL"), 3000).unref();
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended by itself.
  }
}
