/** A rehearsal: the real engine on a world, opened, used and closed. What the command line and the tests share. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Engine, type Operation, type OperationResult, type RunOptions } from "./engine.ts";
import { lockWorld } from "./lock.ts";
import { type Parts, startParts } from "./parts.ts";
import { applySet, readStackConfig, rehearsedConfig, type Tree, type WorldValues } from "./stack-config.ts";
import { ensurePulumi } from "./tools/pulumi.ts";
import { openWorld, type World } from "./world.ts";

export interface RehearsalOptions {
  /** The checkout whose program, provider and stack file are rehearsed. */
  readonly repo: string;
  readonly stack: string;
  /** Where the world lives. */
  readonly dir: string;
  /** Takes official plugins that are on this machine in place of their stand-ins; default false. */
  readonly officialPlugins?: boolean;
  /** Empties the world first. */
  readonly fresh?: boolean;
  /** Instead of the stack's file. */
  readonly config?: Tree;
  readonly say?: (line: string) => void;
}

export interface OperationOptions extends Omit<RunOptions, "config"> {
  /** `path=value` below `flotilla:`, for this run. */
  readonly set?: readonly string[];
  /** What the world gives differently in this run, such as a rotated token. */
  readonly values?: Partial<WorldValues>;
}

export interface RecordedCall {
  readonly time: string;
  readonly part: string;
  readonly call: string;
  readonly detail?: string;
}

export interface Rehearsal {
  readonly world: World;
  readonly parts: Parts;
  readonly engine: Engine;
  run(operation: Operation, options?: OperationOptions): Promise<OperationResult>;
  calls(): readonly RecordedCall[];
  close(): Promise<void>;
}

/** As many operations at once as the largest wave, so that a wave is one batch (DESIGN: `PULUMI_PARALLEL`). */
const parallel = 64;

export async function openRehearsal(options: RehearsalOptions): Promise<Rehearsal> {
  const { repo, stack, dir, fresh = false, officialPlugins = false, say = () => undefined } = options;
  const config = options.config ?? readStackConfig(repo, stack);
  if (fresh && existsSync(dir)) {
    const release = lockWorld(dir);
    rmSync(dir, { recursive: true, force: true });
    release();
  }
  const pulumi = await ensurePulumi();
  const world = openWorld(dir);
  const release = lockWorld(dir);
  try {
    say(`world: ${dir}`);
    const parts = await startParts(world, { config, repo, officialPlugins });
    const engine = new Engine({ world, parts, repo, stack, pulumi, parallel });
    return {
      world,
      parts,
      engine,
      run: async (operation, { set = [], values = {}, ...rest } = {}) => {
        const changed = set.reduce(applySet, config);
        return engine.run(operation, {
          ...rest,
          config: rehearsedConfig(changed, { ...parts.values, ...values }),
        });
      },
      calls: () => readCalls(world),
      close: async () => {
        await parts.close();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** Every call that a world received, in order. */
export function readCalls(world: World): RecordedCall[] {
  const file = join(world.dir, "calls.jsonl");
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RecordedCall);
}
