/**
 * Builds a Go program from the module proxy, reproducibly: `go/<name>/go.mod` and `go.sum` beside this file name every
 * module and its hash.
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { findOnPath } from "./path.ts";

const limitMinutes = 60;
const keptLines = 15;

export interface GoProgram {
  /** Directory under `rehearsal/tools/go`. */
  readonly module: string;
  readonly package: string;
  readonly flags?: readonly string[];
}

export function findGo(): string | undefined {
  return findOnPath("go");
}

export async function buildGo(go: string, program: GoProgram, output: string): Promise<void> {
  const directory = mkdtempSync(join(dirname(output), "module-"));
  try {
    for (const file of ["go.mod", "go.sum"]) {
      copyFileSync(join(import.meta.dirname, "go", program.module, file), join(directory, file));
    }
    const flags = ["-mod=readonly", "-trimpath", ...(program.flags ?? [])];
    await run(go, ["build", ...flags, "-o", output, program.package], directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function run(go: string, args: readonly string[], directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(go, args, {
      cwd: directory,
      env: { ...process.env, GOWORK: "off", GOFLAGS: "" },
      stdio: ["ignore", "ignore", "pipe"],
      timeout: limitMinutes * 60_000,
    });
    const stop = () => child.kill();
    process.once("exit", stop);
    let tail: string[] = [];
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("go: downloading"));
      tail = [...tail, ...lines].slice(-keptLines);
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      process.off("exit", stop);
      if (code === 0) return resolve();
      const how = signal === null ? `exit ${code}` : `ended by ${signal} (limit: ${limitMinutes} min)`;
      reject(new Error(`go build: ${how}\n${tail.join("\n")}`));
    });
  });
}
