import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const bootstrap = join(import.meta.dirname, "..", "..", "..", "rehearsal", "bootstrap.mjs");

/** A clone with one script, and an `npm` that installs nothing but this Node. */
let clone: string;
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), "flotilla-clone-"));
  mkdirSync(join(clone, "rehearsal"));
  mkdirSync(join(clone, "bin"));
  copyFileSync(bootstrap, join(clone, "rehearsal", "bootstrap.mjs"));
  writeFileSync(join(clone, "package-lock.json"), "{}");
  npm(`mkdir -p node_modules/node/bin; ln -sf ${process.execPath} node_modules/node/bin/node`);
  writeFileSync(
    join(clone, "script.ts"),
    `const [what]: string[] = process.argv.slice(2);
     if (what === "wait") {
       let signals = 0;
       process.on("SIGINT", () => { signals += 1; setTimeout(() => { console.log("signals: " + signals); process.exit(7); }, 400); });
       setInterval(() => {}, 1000);
     }
     console.log(JSON.stringify(process.argv.slice(2)));
     if (what === "fail") process.exitCode = 5;
     if (what === "die") process.kill(process.pid, "SIGKILL");`,
  );
});
afterEach(() => rmSync(clone, { recursive: true }));

function npm(body: string): void {
  writeFileSync(join(clone, "bin", "npm"), `#!/bin/sh\necho ci >> installs\n${body}\n`);
  chmodSync(join(clone, "bin", "npm"), 0o755);
}

function installs(): number {
  const file = join(clone, "installs");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").length : 0;
}

interface Started {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>;
}

function start(...args: string[]): Started {
  const child = spawn(process.execPath, ["rehearsal/bootstrap.mjs", ...args], {
    cwd: clone,
    env: { ...process.env, PATH: [join(clone, "bin"), process.env.PATH].join(delimiter) },
    stdio: ["ignore", "pipe", "pipe"],
    // No terminal, as in CI.
    detached: true,
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (text) => {
    out += text;
  });
  child.stderr.on("data", (text) => {
    err += text;
  });
  const ended = new Promise<Awaited<Started["ended"]>>((resolve) =>
    child.once("close", (code) => resolve({ code, out, err })),
  );
  return { child, output: () => out, ended };
}

describe("bootstrap", () => {
  test("installs on a fresh clone, then passes arguments and output through", async () => {
    const { code, out, err } = await start("script.ts", "a", "b c").ended;
    expect({ code, out }).toEqual({ code: 0, out: '["a","b c"]\n' });
    expect(err).toContain("there is no node_modules yet; running npm ci");
  });

  test("installs again only when package-lock.json changes", async () => {
    await start("script.ts").ended;
    const { err } = await start("script.ts").ended;
    expect({ err, installs: installs() }).toEqual({ err: "", installs: 1 });

    writeFileSync(join(clone, "package-lock.json"), '{"changed":true}');
    expect((await start("script.ts").ended).err).toContain("package-lock.json has changed");
    expect(installs()).toBe(2);
  });

  test("installs once when started twice", async () => {
    npm(`sleep 0.5; mkdir -p node_modules/node/bin; ln -sf ${process.execPath} node_modules/node/bin/node`);
    const both = await Promise.all([start("script.ts").ended, start("script.ts").ended]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(installs()).toBe(1);
  });

  test("does not take a failed install for a done one", async () => {
    npm("mkdir -p node_modules; exit 3");
    const { code, err } = await start("script.ts").ended;
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("npm ci failed (exit 3)") });
    expect(existsSync(join(clone, "node_modules", ".flotilla-lock"))).toBe(false);
  });

  test("ends as the script ends", async () => {
    expect((await start("script.ts", "fail").ended).code).toBe(5);
    expect((await start("script.ts", "die").ended).code).toBe(128 + 9);
  });

  test("hands SIGINT to the script once and waits for it", async () => {
    const { child, output, ended } = start("script.ts", "wait");
    await expect.poll(output).toContain("wait");
    child.kill("SIGINT");
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 7, out: expect.stringContaining("signals: 1") });
  });
});
