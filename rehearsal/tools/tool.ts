/** How a tool comes to be here: on PATH, else cached, else downloaded, else built from its Go modules. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheDir, cached, findCached } from "./cache.ts";
import { download, type Release } from "./download.ts";
import { buildGo, findGo, type GoProgram } from "./go-build.ts";
import { findOnPath, isAtLeastMinor, parseVersion, readVersion, renderVersion } from "./path.ts";
import { say, withProgress } from "./progress.ts";

export interface Tool {
  /** Name of the executable and of its directory in the cache. */
  readonly name: string;
  readonly version: string;
  /** What needs it, after "for": `the rehearsal's engine`. */
  readonly purpose: string;
  /** Executables on PATH that do as well, best first. */
  readonly onPath: readonly OnPath[];
  /** The release for this platform; undefined where none is published. */
  readonly release: (platform: Platform) => Release | undefined;
  readonly build: GoProgram;
  /** On two cores, modules included. */
  readonly buildMinutes: number;
  /** What a person can install instead. */
  readonly install: string;
}

export interface OnPath {
  readonly name: string;
  readonly versionArgs: readonly string[];
  /** The oldest that is taken: same major, this minor or newer. */
  readonly atLeast: string;
}

/** As Go names them. */
export interface Platform {
  readonly os: "linux" | "darwin";
  readonly arch: "amd64" | "arm64";
}

export function thisPlatform(): Platform | undefined {
  const os = process.platform === "linux" || process.platform === "darwin" ? process.platform : undefined;
  const arch = process.arch === "x64" ? "amd64" : process.arch === "arm64" ? "arm64" : undefined;
  return os === undefined || arch === undefined ? undefined : { os, arch };
}

/** Path of the executable. What is tried and taken is said on stderr; the cached tool is taken silently. */
export async function ensureTool(tool: Tool, cache: string = cacheDir()): Promise<string> {
  const present = (await findUsable(tool)) ?? findCached(cache, tool.name, tool.version);
  if (present !== undefined) return present;
  return cached(cache, tool.name, tool.version, (directory) => make(tool, directory));
}

async function findUsable(tool: Tool): Promise<string | undefined> {
  for (const { name, versionArgs, atLeast } of tool.onPath) {
    const executable = findOnPath(name);
    if (executable === undefined) continue;
    const version = await readVersion(executable, versionArgs);
    const oldest = parseVersion(atLeast);
    if (version !== undefined && oldest !== undefined && isAtLeastMinor(version, oldest)) {
      say(`using ${name} ${renderVersion(version)} (${executable})`);
      return executable;
    }
    const found = version === undefined ? "tells no version" : `is ${renderVersion(version)}`;
    say(`${executable} ${found}, ${oldest?.major}.${oldest?.minor} or newer is needed; using our own`);
  }
  return undefined;
}

async function make(tool: Tool, directory: string): Promise<void> {
  const failures: string[] = [];
  const what = `${tool.name} ${tool.version}`;
  const platform = thisPlatform();
  const release = platform === undefined ? undefined : tool.release(platform);
  if (release !== undefined) {
    try {
      await withProgress(`downloading ${what} for ${tool.purpose}`, `downloading ${what}`, () =>
        download(release, directory),
      );
      return;
    } catch (error) {
      failures.push(`download: ${message(error)}`);
      say(`not downloaded: ${message(error)}`);
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory);
    }
  }
  const go = findGo();
  if (go === undefined) {
    failures.push("build: go is not on PATH");
  } else {
    try {
      await withProgress(
        `building ${what} from its Go modules for ${tool.purpose}, once (about ${tool.buildMinutes} min on two cores)`,
        `building ${what}`,
        () => buildGo(go, tool.build, join(directory, tool.name)),
      );
      return;
    } catch (error) {
      failures.push(`build: ${message(error)}`);
    }
  }
  throw new Error(
    `${what} is needed for ${tool.purpose} and cannot be had here. Install ${tool.install}, or Go 1.25 or newer.\n` +
      failures.map((failure) => `  ${failure}`).join("\n"),
  );
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
