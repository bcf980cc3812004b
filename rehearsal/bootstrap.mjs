/**
 * `node rehearsal/bootstrap.mjs SCRIPT.ts [ARGUMENT…]` runs a script of this project on a fresh clone: with any Node
 * from 20 on and nothing installed. Dependencies are installed when they are not those of package-lock.json; the script
 * runs on the Node 24 that is one of them.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stamp = join(modules, ".flotilla-lock");
const lock = join(root, ".flotilla", "install.lock");

function fail(message) {
  process.stderr.write(`flotilla: ${message}\n`);
  process.exit(1);
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** What must be installed: the lock file, for this platform (the Node binary differs by it). */
function wanted() {
  const text = read(join(root, "package-lock.json"));
  if (text === undefined)
    fail("package-lock.json is missing; restore it with `git checkout package-lock.json`");
  const platform = `${process.platform}-${process.arch}`;
  return `${createHash("sha256").update(text).digest("hex")} ${platform}\n`;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function sleep(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Two starts at once: the second waits for the first one's install. A lock whose holder is gone is taken over. */
function takeLock() {
  mkdirSync(dirname(lock), { recursive: true });
  for (let told = false; ; sleep(250)) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const holder = Number(read(lock));
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (holder > 0 ? !isAlive(holder) : age > 5000) {
      rmSync(lock, { force: true });
    } else if (!told) {
      told = true;
      process.stderr.write(`flotilla: process ${holder} installs the dependencies; waiting for it\n`);
    }
  }
}

function install() {
  takeLock();
  try {
    if (read(stamp) === wanted()) return;
    const why = existsSync(modules) ? "package-lock.json has changed" : "there is no node_modules yet";
    process.stderr.write(`flotilla: ${why}; running npm ci (about half a minute)\n`);
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    // stdout belongs to the script; npm reports to stderr.
    const done = spawnSync(npm, ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: root,
      stdio: ["ignore", 2, 2],
      shell: process.platform === "win32",
    });
    if (done.error?.code === "ENOENT") fail("npm is not on PATH; install Node with npm, 20 or newer");
    if (done.signal !== null) process.exit(128 + constants.signals[done.signal]);
    if (done.status !== 0) fail(`npm ci failed (exit ${done.status}); its message is above`);
    writeFileSync(stamp, wanted());
  } finally {
    rmSync(lock, { force: true });
  }
}

/** The installed Node 24, else this one when it runs TypeScript without a flag (22.18 and newer). */
function findNode() {
  const installed = join(modules, "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  if ((statSync(installed, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000) return installed;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath;
  return fail(
    `Node ${process.versions.node} cannot run TypeScript, and Node 24 was not installed because npm ran no install scripts. ` +
      "Run `npm rebuild node --ignore-scripts=false`, or use Node 22.18 or newer.",
  );
}

/** On a terminal, Ctrl-C reaches every process of the foreground group by itself. */
function isForeground() {
  const stat = process.platform === "linux" ? read("/proc/self/stat") : undefined;
  if (stat === undefined) return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const [, , group, , , terminalGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return group === terminalGroup;
}

/** The Pulumi SDK settles some promises late; Node would warn of each. */
const quiet = ["--disable-warning=PromiseRejectionHandledWarning"];

function run(script, args) {
  const child = spawn(findNode(), [...quiet, script, ...args], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
    let forwarded = 0;
    // A signal is never lost and never doubled: npm sends its own copy of what the terminal has already sent to all.
    process.on(signal, () => {
      if (signal !== "SIGTERM" && isForeground()) return;
      if (Date.now() - forwarded < 300) return;
      forwarded = Date.now();
      child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`cannot start ${child.spawnfile}: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

const [script, ...args] = process.argv.slice(2);
if (script === undefined) fail("usage: node rehearsal/bootstrap.mjs SCRIPT.ts [ARGUMENT…]");
if (read(stamp) !== wanted()) install();
run(script, args);
