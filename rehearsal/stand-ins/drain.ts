/**
 * Stand-in for flotilla-drain, run on a simulated host: `flotilla-drain --timeout SECONDS [RUNNER…]` or `--resume`. A job
 * that runs is a file /run/flotilla-jobs/<placement>. Exit 4 when jobs outlived the time: they go on, and none
 * follows. A time of 0 ends them.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const IDENTITY = "/etc/flotilla/identity.json";
const DRAINED = "/run/flotilla/drained";
const JOBS = "/run/flotilla-jobs";

interface Placement {
  readonly name: string;
  readonly runner: string;
  readonly instance: number;
}

const [flag, ...rest] = process.argv.slice(2);
const seconds = flag === "--timeout" ? rest.shift() : undefined;
if (flag !== "--resume" && !/^[0-9]+$/.test(seconds ?? "")) {
  console.error("usage: flotilla-drain --timeout SECONDS [RUNNER…] | --resume [RUNNER…]");
  process.exit(2);
}

const placements = existsSync(IDENTITY)
  ? (JSON.parse(readFileSync(IDENTITY, "utf8")) as { readonly runners: readonly Placement[] }).runners
  : [];
for (const named of rest)
  if (!placements.some(({ name, runner }) => named === name || named === runner)) {
    console.error(`flotilla-drain: this host carries no runner '${named}'`);
    process.exit(2);
  }
const chosen = placements.filter(
  ({ name, runner }) => rest.length === 0 || rest.includes(name) || rest.includes(runner),
);

mkdirSync(DRAINED, { recursive: true });
for (const { runner, instance } of chosen) {
  const mark = `${DRAINED}/flotilla-runner-${runner}-${instance}.service`;
  if (flag === "--resume") rmSync(mark, { force: true });
  else writeFileSync(mark, "");
}

if (flag === "--timeout") {
  const busy = () => chosen.map(({ name }) => name).filter((name) => existsSync(`${JOBS}/${name}`));
  const deadline = Date.now() + Number(seconds) * 1000;
  while (busy().length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100));
  const left = busy();
  if (left.length > 0) {
    if (Number(seconds) === 0) for (const name of left) rmSync(`${JOBS}/${name}`);
    else {
      console.error(`flotilla-drain: still running after ${seconds} s: ${left.join(" ")}`);
      process.exitCode = 4;
    }
  }
}
