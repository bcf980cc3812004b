/** Official releases: fetched under a time limit, checked against the published SHA256SUMS, unpacked. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { extractZip } from "./zip.ts";

/** No answer within this time: the address cannot be reached from here. */
const answerMs = 8_000;
/** A download that stands still for this long is given up. */
const stallMs = 20_000;

export interface Release {
  /** A `.tar.gz`, or a `.zip` with the executable at its top. */
  readonly archive: string;
  /** Lines of `<sha256>  <file name>`. */
  readonly checksums: string;
  /** Leading directories of the tar archive that are dropped. */
  readonly strip?: number;
}

/** Fills `directory` with the unpacked release. */
export async function download(release: Release, directory: string): Promise<void> {
  const name = fileName(release.archive);
  const expected = findChecksum(await fetchText(release.checksums), name);
  if (expected === undefined) throw new Error(`${release.checksums} does not list ${name}`);

  const file = join(directory, name);
  await fetchFile(release.archive, file);
  const found = await hashFile(file);
  if (found !== expected) {
    throw new Error(
      `${release.archive} has SHA-256 ${found}, but ${expected} is published; nothing of it is used`,
    );
  }
  await unpack(file, directory, release.strip ?? 0);
  rmSync(file);
}

export function findChecksum(text: string, name: string): string | undefined {
  for (const line of text.split("\n")) {
    const [hash, file] = line.trim().split(/\s+\*?/);
    if (file === name && hash !== undefined && /^[0-9a-f]{64}$/.test(hash)) return hash;
  }
  return undefined;
}

function fileName(url: string): string {
  return new URL(url).pathname.split("/").at(-1) ?? "";
}

async function unpack(file: string, directory: string, strip: number): Promise<void> {
  if (file.endsWith(".zip")) return extractZip(file, directory);
  mkdirSync(directory, { recursive: true });
  await promisify(execFile)("tar", ["-xzf", file, "-C", directory, `--strip-components=${strip}`]);
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

async function fetchText(url: string): Promise<string> {
  return withStallLimit(url, async (response) => response.text());
}

async function fetchFile(url: string, file: string): Promise<void> {
  await withStallLimit(url, async ({ body }, alive) => {
    if (body === null) throw new Error("an empty answer");
    const watch = new Transform({
      transform(chunk, _encoding, done) {
        alive();
        done(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(body), watch, createWriteStream(file));
  });
}

async function withStallLimit<T>(
  url: string,
  read: (response: Response, alive: () => void) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const limit = (milliseconds: number) =>
    setTimeout(() => abort.abort(new Error(`no data for ${milliseconds / 1000} s`)), milliseconds);
  let timer = limit(answerMs);
  const alive = () => {
    clearTimeout(timer);
    timer = limit(stallMs);
  };
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    alive();
    return await read(response, alive);
  } catch (error) {
    throw new Error(`${url}: ${reason(abort.signal.aborted ? abort.signal.reason : error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** fetch hides what went wrong in `cause`. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}
