/** `npm run rehearse`: the operator's own stack, through the real engine, against a world on this machine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Operation, OperationResult } from "./engine.ts";
import { heldBack, realErrors } from "./failures.ts";
import type { Step } from "./recorder.ts";
import { openRehearsal, type Rehearsal, readCalls } from "./rehearsal.ts";
import { hostRows, renderTable, runnerRows } from "./summary.ts";
import { openWorld } from "./world.ts";

const usage = `npm run rehearse [-- OPTIONS]

Runs a stack through the real Pulumi engine against a world on this machine: simulated clouds, hosts and forges, a real
Vault. The world is kept; the next run continues it.

  --stack NAME       which Pulumi.NAME.yaml (prod)
  --set PATH=VALUE   changes the configuration for this run: --set hosts.builder.count=5; may be repeated
  --preview          says what an up would change, and changes nothing
  --refresh          reads what is really there into the state
  --destroy          removes everything; protected hosts need --set 'release=["*"]' in an up before
  --fresh            starts from an empty world
  --official-plugins uses the official cloud and Vault plugins that are on this machine
  --calls            prints every call that the world received, in order, and runs nothing
  --verbose          Pulumi's own output
`;

const { values: options } = parseArgs({
  options: {
    stack: { type: "string", default: "prod" },
    set: { type: "string", multiple: true, default: [] },
    preview: { type: "boolean", default: false },
    refresh: { type: "boolean", default: false },
    destroy: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
    "official-plugins": { type: "boolean", default: false },
    calls: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const repo = join(import.meta.dirname, "..");
const dir = join(repo, ".rehearsal", options.stack);
const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (options.calls) {
    if (!existsSync(dir))
      throw new Error(`there is no world of the stack ${options.stack} yet; run it without --calls`);
    for (const { time, part, call, detail } of readCalls(openWorld(dir)))
      process.stdout.write(`${time}  ${part}  ${call}${detail === undefined ? "" : `  ${detail}`}\n`);
    return 0;
  }
  const operations = (["preview", "refresh", "destroy"] as const).filter((each) => options[each]);
  if (operations.length > 1) throw new Error(`--${operations.join(" and --")} exclude each other`);
  const operation = operations[0] ?? "up";

  const abort = new AbortController();
  // Not `once`: a library that finds no other listener ends the process.
  let pressed = 0;
  process.on("SIGINT", () => {
    if (abort.signal.aborted && Date.now() - pressed > 1000) process.exit(130);
    if (abort.signal.aborted) return;
    pressed = Date.now();
    say("stopping; the world is kept and the next run continues it (Ctrl-C again: at once)");
    abort.abort();
  });
  const rehearsal = await openRehearsal({
    repo,
    stack: options.stack,
    dir,
    fresh: options.fresh,
    officialPlugins: options["official-plugins"],
    say,
  });
  try {
    return await rehearse(rehearsal, operation, abort.signal);
  } finally {
    await rehearsal.close();
  }
}

async function rehearse(rehearsal: Rehearsal, operation: Operation, signal: AbortSignal): Promise<number> {
  const start = Date.now();
  say(`${operation}: ${options.stack}`);
  const result = await rehearsal.run(operation, {
    set: options.set,
    signal,
    ...(options.verbose
      ? { onOutput: (text) => process.stdout.write(text) }
      : operation === "preview"
        ? {}
        : { onStep: (step) => say(`  ${renderStep(step)}`) }),
  });
  if (operation === "preview" && !options.verbose)
    for (const step of result.steps) say(`  ${renderStep(step)}`);
  const state = await rehearsal.engine.exportState();
  const hosts = hostRows(state, result.fleet);
  if (operation !== "preview") {
    const runners = runnerRows(state, rehearsal.parts.forges);
    process.stdout.write(`\n${renderTable(hosts)}\n\n${renderTable(runners)}\n\n`);
  }
  for (const error of realErrors(result)) say(`error: ${error}\n`);
  const held = operation === "up" && !result.ok ? heldBack(hosts, result) : [];
  if (held.length > 0) say(`held back, because what they wait for failed: ${held.join(", ")}\n`);
  say(conclude(result, operation, (Date.now() - start) / 1000));
  return result.ok ? 0 : 1;
}

function conclude(result: OperationResult, operation: Operation, seconds: number): string {
  const count = result.steps.filter((step) => !step.failed).length;
  const what = operation === "preview" ? "would change" : "changed";
  const changes =
    count === 0 ? "nothing changes" : `${count} ${count === 1 ? "resource" : "resources"} ${what}`;
  return `${operation} ${result.ok ? "succeeded" : "failed"} in ${seconds.toFixed(1)} s: ${changes}`;
}

function renderStep({ op, name, type, failed, diffs }: Step): string {
  const detail = diffs.length === 0 ? "" : ` (${diffs.join(", ")})`;
  return `${failed ? "FAILED " : ""}${op.padEnd(8)} ${name}  ${type.split(":").at(-1) ?? type}${detail}`;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    say(`rehearse: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
