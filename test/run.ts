/**
 * What `npm test` runs: lint, type check and the check of the workflows (one test each), then vitest. Arguments are
 * vitest's filters: `npm test -- unit/fleet`. The last line is `N passed, N failed, N skipped`.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestModule } from "vitest/node";
import { startVitest } from "vitest/node";
import { ensureActionlint } from "../rehearsal/tools/actionlint.ts";

const root = join(import.meta.dirname, "..");
const count = { passed: 0, failed: 0, skipped: 0 };

function bin(name: string): string {
  return join(root, "node_modules", ".bin", name);
}

/** Runs a check to its end, with its output shown; a check that fails does not keep the next from running. */
async function check(name: string, command: () => Promise<readonly [string, ...string[]]>): Promise<void> {
  const began = performance.now();
  const failure = await run(command).catch((error: unknown) =>
    error instanceof Error ? error.message : String(error),
  );
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  count[failure === undefined ? "passed" : "failed"] += 1;
  console.log(failure === undefined ? `✓ ${name} (${seconds} s)` : `✗ ${name}: ${failure}`);
}

async function run(command: () => Promise<readonly [string, ...string[]]>): Promise<string | undefined> {
  const [program, ...args] = await command();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code === 0 ? undefined : `exit ${code ?? signal}`));
  });
}

function workflows(): string[] {
  const directory = join(root, ".github", "workflows");
  return readdirSync(directory).map((file) => join(directory, file));
}

function countTests(modules: readonly TestModule[], unhandled: number): void {
  for (const module of modules) {
    let failed = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "failed") failed += 1;
      count[state === "passed" || state === "failed" ? state : "skipped"] += 1;
    }
    // A file that cannot be loaded, or a hook that fails, has no failed test to show for it.
    if (failed === 0 && module.state() === "failed") count.failed += 1;
  }
  count.failed += unhandled;
}

process.chdir(root);
await check("lint", async () => [bin("biome"), "check", "--error-on-warnings", "."]);
await check("types", async () => [bin("tsc"), "--noEmit"]);
await check("workflows", async () => [await ensureActionlint(), ...workflows()]);

const filters = process.argv.slice(2);
const vitest = await startVitest("test", filters, {
  run: true,
  watch: false,
  passWithNoTests: false,
  reporters: ["default", { onTestRunEnd: (modules, unhandled) => countTests(modules, unhandled.length) }],
});
if (vitest.state.getFiles().length === 0) count.failed += 1;
await vitest.close();

console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exit(count.failed === 0 ? 0 : 1);
