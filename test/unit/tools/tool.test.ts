import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { actionlint } from "../../../rehearsal/tools/actionlint.ts";
import { pulumi } from "../../../rehearsal/tools/pulumi.ts";
import { ensureTool, type Tool } from "../../../rehearsal/tools/tool.ts";
import { vault } from "../../../rehearsal/tools/vault.ts";

let directory: string;
let cache: string;
let bin: string;
let said: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flotilla-tool-"));
  cache = join(directory, "cache");
  bin = join(directory, "bin");
  mkdirSync(bin);
  // tar and sh are there, go and the tools are not.
  vi.stubEnv("PATH", [bin, "/usr/bin", "/bin"].join(delimiter));
  said = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

function script(file: string, body: string): void {
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
}

/** Named so that no machine has it. */
const name = "flotilla-example";

function example(changes: Partial<Tool> = {}): Tool {
  return {
    name,
    version: "2.5.1",
    purpose: "an example",
    onPath: [{ name, versionArgs: ["version"], atLeast: "2.5.1" }],
    release: () => undefined,
    build: { module: "actionlint", package: "example.org/cmd" },
    buildMinutes: 1,
    install: "Example 2.5",
    ...changes,
  };
}

describe("a tool on PATH", () => {
  test("is taken when its minor version is the pinned one or newer, and named", async () => {
    script(join(bin, name), "echo Example v2.6.0");
    expect(await ensureTool(example(), cache)).toBe(join(bin, name));
    expect(said.join("")).toContain(`using ${name} 2.6.0 (${join(bin, name)})`);
  });

  test.each(["2.4.9", "3.0.0", "unknown"])("is passed over when it says %s", async (version) => {
    script(join(bin, name), `echo ${version}`);
    mkdirSync(join(cache, `${name}-2.5.1`), { recursive: true });
    script(join(cache, `${name}-2.5.1`, name), "");
    expect(await ensureTool(example(), cache)).toBe(join(cache, `${name}-2.5.1`, name));
    expect(said.join("")).toContain("2.5 or newer is needed; using our own");
  });
});

describe("a tool that is not there", () => {
  test("is built by Go from the committed modules", async () => {
    script(
      join(bin, "go"),
      `echo "$@" > ${directory}/args; head -1 go.mod >> ${directory}/args; echo '#!/bin/sh' > "$5"; chmod +x "$5"`,
    );
    await ensureTool(example(), cache);
    expect(readFileSync(join(directory, "args"), "utf8")).toMatch(
      /^build -mod=readonly -trimpath -o \S+flotilla-example example\.org\/cmd\nmodule flotilla\/actionlint\n$/,
    );
    expect(said[0]).toMatch(
      /building flotilla-example 2\.5\.1 from its Go modules for an example, once \(about 1 min/,
    );
  });

  test("fails with one error that says what was tried and what to install", async () => {
    script(join(bin, "go"), "echo 'go: downloading x' >&2; echo 'x.go:1: broken' >&2; exit 1");
    await expect(ensureTool(example(), cache)).rejects.toThrow(
      `${name} 2.5.1 is needed for an example and cannot be had here. Install Example 2.5, or Go 1.25 or newer.\n  build: go build: exit 1\nx.go:1: broken`,
    );
    expect(readdirSync(cache)).toEqual([]);
  });
});

describe("a download", () => {
  let server: Server;
  let files: Map<string, Buffer>;
  let base: string;

  beforeEach(async () => {
    files = new Map();
    server = createServer((request, response) => {
      const body = files.get(request.url ?? "");
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    base = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  });
  afterEach(() => server.close());

  function publish(file: string, body: Buffer, hash = createHash("sha256").update(body).digest("hex")): Tool {
    files.set(`/${file}`, body);
    files.set("/SHA256SUMS", Buffer.from(`${"0".repeat(64)}  other\n${hash}  ${file}\n`));
    return example({
      release: () => ({ archive: `${base}/${file}`, checksums: `${base}/SHA256SUMS`, strip: 1 }),
    });
  }

  function tarball(): Buffer {
    mkdirSync(join(directory, "release"));
    script(join(directory, "release", name), "echo from the tarball");
    return execFileSync("tar", ["-czf", "-", "-C", directory, "release"]);
  }

  test("of a tarball is unpacked whole", async () => {
    const executable = await ensureTool(publish("example.tar.gz", tarball()), cache);
    expect(execFileSync(executable, { encoding: "utf8" })).toBe("from the tarball\n");
    expect(readdirSync(join(cache, `${name}-2.5.1`))).toEqual([name]);
  });

  test("of a zip archive is unpacked", async () => {
    const executable = await ensureTool(
      publish("example.zip", zip(name, "#!/bin/sh\necho from the zip\n")),
      cache,
    );
    expect(execFileSync(executable, { encoding: "utf8" })).toBe("from the zip\n");
  });

  test("that is not what was published is not used", async () => {
    const tool = publish("example.tar.gz", tarball(), "f".repeat(64));
    await expect(ensureTool(tool, cache)).rejects.toThrow(/but f{64} is published; nothing of it is used/);
    expect(readdirSync(cache)).toEqual([]);
  });

  test("that fails is followed by a build", async () => {
    script(join(bin, "go"), `echo '#!/bin/sh' > "$5"; chmod +x "$5"`);
    const tool = publish("example.tar.gz", tarball());
    files.delete("/example.tar.gz");
    await ensureTool(tool, cache);
    expect(said.join("")).toMatch(/not downloaded: \S+example\.tar\.gz: HTTP 404/);
  });
});

test("releases are taken from their publishers", () => {
  const addresses = [pulumi, vault, actionlint].map((tool) => tool.release({ os: "linux", arch: "amd64" }));
  expect(addresses).toMatchObject([
    { archive: "https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-linux-x64.tar.gz" },
    { archive: "https://releases.hashicorp.com/vault/1.21.0/vault_1.21.0_linux_amd64.zip" },
    {
      archive:
        "https://github.com/rhysd/actionlint/releases/download/v1.7.12/actionlint_1.7.12_linux_amd64.tar.gz",
    },
  ]);
});

/** A zip archive of one deflated file. */
function zip(file: string, text: string): Buffer {
  const packed = deflateRawSync(text);
  const fileName = Buffer.from(file);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(fileName.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt32LE(text.length, 24);
  entry.writeUInt16LE(fileName.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(entry.length + fileName.length, 12);
  end.writeUInt32LE(local.length + fileName.length + packed.length, 16);
  return Buffer.concat([local, fileName, packed, entry, fileName, end]);
}
