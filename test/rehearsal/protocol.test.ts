/** The provider protocol as the real engine speaks it, with resources that lie in memory. No world, no plugin, no host. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { type EngineEvent, LocalWorkspace, PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveProvider } from "../../provider/protocol.ts";
import { ensurePulumi } from "../../rehearsal/tools/pulumi.ts";
import { alive } from "../unit/provider/fixture.ts";
import { Boxes, boxToken } from "./box-provider.ts";

interface BoxArgs {
  readonly content: pulumi.Input<string>;
  /** A new one replaces the box. */
  readonly machine?: pulumi.Input<string>;
}

class Box extends pulumi.CustomResource {
  declare readonly content: pulumi.Output<string>;
  /** Stays when the content changes. */
  declare readonly address: pulumi.Output<string>;
  /** A new one at each change. */
  declare readonly serial: pulumi.Output<string>;
  declare readonly token: pulumi.Output<string>;
  constructor(name: string, args: BoxArgs, opts?: pulumi.CustomResourceOptions) {
    super("box:index:Box", name, { ...args, address: undefined, serial: undefined, token: undefined }, opts);
  }
}

class BoxProvider extends pulumi.ProviderResource {
  constructor(args: Record<string, pulumi.Input<string>>) {
    super("box", "boxes", args);
  }
}

interface Outcome {
  /** What was planned or done, as `op name`, sorted; what stays the same is left out. */
  readonly changes: string[];
  /** Absent when it went well. */
  readonly failure?: string;
  readonly output: string;
}

interface StateResource {
  readonly urn: string;
  readonly id?: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
  readonly initErrors?: readonly string[];
}

type Operation = "preview" | "up" | "refresh";

interface TestStack {
  /** What the next operations run. */
  program: () => unknown;
  run(operation: Operation, signal?: AbortSignal): Promise<Outcome>;
  /** An `up` that must go well. */
  up(): Promise<string[]>;
  preview(): Promise<string[]>;
  state(): readonly StateResource[];
  inState(name: string): StateResource | undefined;
  outputs(): Promise<Record<string, { value: unknown; secret: boolean }>>;
}

const dir = mkdtempSync(join(tmpdir(), "flotilla-protocol-"));
const boxes = new Boxes();
let served: Awaited<ReturnType<typeof serveProvider>>;
let command: PulumiCommand;

beforeAll(async () => {
  for (const part of ["cli/bin", "state", "home"]) mkdirSync(join(dir, part), { recursive: true });
  symlinkSync(await ensurePulumi(), join(dir, "cli", "bin", "pulumi"));
  command = await PulumiCommand.get({ root: join(dir, "cli"), skipVersionCheck: true });
  served = await serveProvider(boxes.definition);
});
afterAll(async () => {
  await served?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** @param spawned the provider is a program that the engine starts, named by path in Pulumi.yaml. */
async function openStack(
  name: string,
  spawned?: { path: string; env: Record<string, string> },
): Promise<TestStack> {
  const workDir = join(dir, name);
  mkdirSync(workDir);
  const plugins =
    spawned === undefined ? {} : { plugins: { providers: [{ name: "box", path: spawned.path }] } };
  writeFileSync(
    join(workDir, "Pulumi.yaml"),
    JSON.stringify({ name: "protocol", runtime: "nodejs", ...plugins }),
  );
  const program = async () => Object(opened.program());
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: name, projectName: "protocol", program },
    {
      workDir,
      pulumiCommand: command,
      envVars: {
        PULUMI_BACKEND_URL: `file://${join(dir, "state")}`,
        PULUMI_HOME: join(dir, "home"),
        PULUMI_CONFIG_PASSPHRASE: "test",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_SKIP_CHECKPOINTS: "true",
        ...(spawned === undefined ? { PULUMI_DEBUG_PROVIDERS: `box:${served.port}` } : spawned.env),
      },
    },
  );
  // The file itself: an export of the Automation API has every secret in clear.
  const state = (): readonly StateResource[] => {
    const file = join(dir, "state", ".pulumi", "stacks", "protocol", `${name}.json`);
    const kept = JSON.parse(readFileSync(file, "utf8")) as {
      checkpoint: { latest?: { resources?: readonly StateResource[] } };
    };
    return kept.checkpoint.latest?.resources ?? [];
  };
  const run = async (operation: Operation, signal?: AbortSignal): Promise<Outcome> => {
    const changes = new Set<string>();
    let output = "";
    const options = {
      onEvent: ({ resourcePreEvent, resOutputsEvent }: EngineEvent) => {
        // What a refresh found is known when it is done; the others are told when they begin.
        const step = (operation === "refresh" ? resOutputsEvent : resourcePreEvent)?.metadata;
        const quiet = step === undefined || ["same", "refresh", "read"].includes(step.op);
        if (!quiet && step.type !== "pulumi:pulumi:Stack") changes.add(`${step.op} ${nameOf(step.urn)}`);
      },
      onOutput: (text: string) => {
        output += text;
      },
      suppressOutputs: false,
      parallel: 64,
      ...(signal === undefined ? {} : { signal }),
    };
    boxes.calls = [];
    const failure = await stack[operation]({ ...options, color: "never" }).then(
      () => undefined,
      (error: unknown) => String(error),
    );
    return { changes: [...changes].toSorted(), output, ...(failure === undefined ? {} : { failure }) };
  };
  const succeed = async (operation: Operation): Promise<string[]> => {
    const { failure, changes } = await run(operation);
    if (failure !== undefined) throw new Error(failure);
    return changes;
  };
  const opened: TestStack = {
    program: () => undefined,
    run,
    up: () => succeed("up"),
    preview: () => succeed("preview"),
    state,
    inState: (resource) => state().find(({ urn }) => nameOf(urn) === resource),
    outputs: () => stack.outputs(),
  };
  return opened;
}

function nameOf(urn: string): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

describe("configuration", () => {
  test("arrives in clear, lies encrypted in the state, and its change touches no resource", async () => {
    const stack = await openStack("configuration");
    const programWith = (token: string) => () => {
      const provider = new BoxProvider({ place: "attic", token: pulumi.secret(token) });
      new Box("a", { content: "tea" }, { provider });
    };
    stack.program = programWith("s3cret-one");
    const first = await stack.run("up");
    expect(first.changes).toEqual(["create a", "create boxes"]);
    expect(boxes.configurations.at(-1)).toMatchObject({ place: "attic", token: "s3cret-one" });

    stack.program = programWith("s3cret-two");
    expect(await stack.preview()).toEqual(["update boxes"]);
    const second = await stack.run("up");
    expect(second.changes).toEqual(["update boxes"]);
    expect(boxes.calls).toEqual([]);
    expect(boxes.configurations.at(-1)).toMatchObject({ token: "s3cret-two" });

    const kept = stack.inState("boxes");
    for (const properties of [kept?.inputs, kept?.outputs])
      expect(properties?.token).toMatchObject({ ciphertext: expect.any(String) });
    const everything = [first.output, second.output, JSON.stringify(stack.state())].join();
    expect(everything).not.toMatch(/s3cret-(one|two)/);
    expect(await stack.up()).toEqual([]);
  });

  test("that a preview does not know yet keeps nothing from being planned", async () => {
    const stack = await openStack("unknown-configuration");
    stack.program = () => {
      const first = new Box("first", { content: "tea" }, { provider: new BoxProvider({ place: "attic" }) });
      const late = new (class extends pulumi.ProviderResource {})("box", "late", { place: first.serial });
      new Box("second", { content: "tea" }, { provider: late });
    };
    const planned = ["create boxes", "create first", "create late", "create second"];
    expect(await stack.preview()).toEqual(planned);
    expect(await stack.up()).toEqual(planned);
    expect(boxes.configurations.at(-1)?.place).toMatch(/^serial /);
  });
});

describe("check", () => {
  test("fills defaults, which are the resource's inputs", async () => {
    const stack = await openStack("defaults");
    stack.program = () => void new Box("a", { content: "tea" });
    await stack.up();
    expect(stack.inState("a")?.inputs).toMatchObject({ content: "tea", lid: "closed" });
  });

  test("refuses before anything is made", async () => {
    const stack = await openStack("refusal");
    stack.program = () => void new Box("a", { content: "acid" });
    const { failure } = await stack.run("preview");
    expect(failure).toContain("a box holds no acid");
    expect(boxes.calls).toEqual([]);
  });
});

describe("a preview", () => {
  test("of an update knows what stays, so only what takes the rest is listed", async () => {
    const stack = await openStack("known");
    const programWith = (content: string) => () => {
      const a = new Box("a", { content });
      new Box("takes-address", { content: a.address });
      new Box("takes-content", { content: a.content });
      new Box("takes-serial", { content: a.serial });
      return { address: a.address, serial: a.serial };
    };
    stack.program = programWith("tea");
    await stack.up();
    stack.program = programWith("coffee");
    const planned = ["update a", "update takes-content", "update takes-serial"];
    expect(await stack.preview()).toEqual(planned);
    expect(boxes.calls).toEqual([]);
    expect(await stack.up()).toEqual(planned);
    expect(await stack.up()).toEqual([]);
  });

  test("says that a machine not known yet replaces what stands on it", async () => {
    const stack = await openStack("unknown-machine");
    const programWith = (content: string) => () => {
      const machine = new Box("machine", { content });
      new Box("a", { content: "tea", machine: machine.serial });
    };
    stack.program = programWith("iron");
    await stack.up();
    stack.program = programWith("steel");
    const planned = ["create-replacement a", "delete-replaced a", "replace a", "update machine"];
    expect(await stack.preview()).toEqual(planned);
    expect(await stack.up()).toEqual(planned);
  });
});

describe("a replacement", () => {
  test("deletes what stands on the old one first, and makes it again last", async () => {
    const stack = await openStack("replacement");
    const programWith = (machine: string) => () => {
      const a = new Box("a", { content: "tea", machine });
      const b = new Box("b", { content: "tea", machine: a.serial });
      new Box("c", { content: b.serial });
      new Box("beside", { content: "tea" });
    };
    stack.program = programWith("one");
    await stack.up();
    stack.program = programWith("two");
    await stack.up();
    expect(boxes.calls).toEqual(["delete b", "delete a", "create a", "create b", "update c"]);
  });
});

describe("failure", () => {
  test("of a create leaves nothing in the state", async () => {
    const stack = await openStack("create-fails");
    stack.program = () => void new Box("a", { content: "tea" });
    boxes.faults.set("create a", "plain");
    expect((await stack.run("up")).failure).toContain("create a failed");
    expect(stack.inState("a")).toBeUndefined();
    expect(await stack.up()).toEqual(["create a"]);
  });

  test("of an update keeps the old inputs and outputs, and is tried again", async () => {
    const stack = await openStack("update-fails");
    stack.program = () => void new Box("a", { content: "tea" });
    await stack.up();
    stack.program = () => void new Box("a", { content: "coffee" });
    boxes.faults.set("update a", "plain");
    expect((await stack.run("up")).failure).toContain("update a failed");
    expect(stack.inState("a")).toMatchObject({ inputs: { content: "tea" }, outputs: { content: "tea" } });
    expect(await stack.up()).toEqual(["update a"]);
  });

  test("of the second half of a create keeps the resource, and the next up goes on with an update", async () => {
    const stack = await openStack("create-unfinished");
    stack.program = () => void new Box("a", { content: "tea" });
    boxes.faults.set("create a", "partial");
    expect((await stack.run("up")).failure).toContain("create a is not finished");
    expect(stack.inState("a")).toMatchObject({
      id: "id-a",
      outputs: { content: "tea", token: { ciphertext: expect.any(String) } },
      initErrors: [expect.stringContaining("create a is not finished")],
    });
    expect(await stack.preview()).toEqual(["update a"]);
    expect(await stack.up()).toEqual(["update a"]);
    expect(boxes.calls).toEqual(["update a"]);
    expect(stack.inState("a")?.initErrors ?? []).toEqual([]);
    expect(await stack.up()).toEqual([]);
  });

  test("of the second half of an update keeps what was reached", async () => {
    const stack = await openStack("update-unfinished");
    stack.program = () => void new Box("a", { content: "tea" });
    await stack.up();
    stack.program = () => void new Box("a", { content: "coffee" });
    boxes.faults.set("update a", "partial");
    expect((await stack.run("up")).failure).toContain("update a is not finished");
    expect(stack.inState("a")).toMatchObject({
      outputs: { content: "coffee" },
      initErrors: [expect.stringContaining("update a is not finished")],
    });
    expect(await stack.up()).toEqual(["update a"]);
    expect(await stack.up()).toEqual([]);
  });
});

describe("a refresh", () => {
  test("shows what was changed behind the state's back, and the next up mends it", async () => {
    const stack = await openStack("drift");
    stack.program = () => void new Box("a", { content: "tea" });
    await stack.up();
    boxes.contents.set("id-a", "vermin");
    expect(await stack.up()).toEqual([]);
    expect((await stack.run("refresh")).changes).toEqual(["update a"]);
    expect(stack.inState("a")?.outputs?.content).toBe("vermin");
    expect(await stack.up()).toEqual(["update a"]);
    expect(boxes.contents.get("id-a")).toBe("tea");
    expect((await stack.run("refresh")).changes).toEqual([]);
  });

  test("forgets what is gone, and the next up makes it again", async () => {
    const stack = await openStack("gone");
    stack.program = () => void new Box("a", { content: "tea" });
    await stack.up();
    boxes.contents.delete("id-a");
    expect((await stack.run("refresh")).changes).toEqual(["delete a"]);
    expect(stack.inState("a")).toBeUndefined();
    expect(await stack.up()).toEqual(["create a"]);
  });
});

test("a secret output is encrypted in the state and masked wherever it goes", async () => {
  const stack = await openStack("secret-output");
  stack.program = () => {
    const a = new Box("a", { content: "tea" });
    const b = new Box("b", { content: a.token });
    return { token: a.token, derived: pulumi.interpolate`${b.content}`, address: a.address };
  };
  const { output, failure } = await stack.run("up");
  expect(failure).toBeUndefined();
  // The provider has to work with it.
  expect(boxes.contents.get("id-b")).toBe(boxToken);
  expect(`${output}${JSON.stringify(stack.state())}`).not.toContain(boxToken);
  expect(stack.inState("b")?.inputs?.content).toMatchObject({ ciphertext: expect.any(String) });
  const { token, address } = await stack.outputs();
  expect(token).toEqual({ value: boxToken, secret: true });
  expect(address?.secret).toBe(false);
  expect(await stack.up()).toEqual([]);
});

test("the updates of a wave arrive together", async () => {
  const stack = await openStack("wave");
  const programWith = (content: string) => () => {
    for (let n = 1; n <= 40; n++) new Box(`box-${n}`, { content });
  };
  stack.program = programWith("tea");
  await stack.up();
  boxes.together = 0;
  stack.program = programWith("gathered");
  expect(await stack.up()).toHaveLength(40);
  expect(boxes.together).toBe(40);
});

describe("a provider that the engine starts", () => {
  const source = join(import.meta.dirname, "box-provider.ts");
  const calls = join(dir, "calls");
  const linesOf = () => (existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : []);

  test("hears of an interruption: what waits ends at once, and the process with it", async () => {
    const plugin = join(dir, "plugin");
    mkdirSync(plugin);
    const executable = join(plugin, "pulumi-resource-box");
    writeFileSync(executable, `#!/bin/sh\nexec ${process.execPath} ${source} "$@"\n`);
    chmodSync(executable, 0o755);
    const stack = await openStack("cancelled", { path: plugin, env: { BOX_CALLS: calls } });
    stack.program = () => void new Box("a", { content: "wait" });

    const interrupt = new AbortController();
    const running = stack.run("up", interrupt.signal);
    await expect.poll(linesOf, { timeout: 30_000 }).toContain("create a");
    const start = Date.now();
    interrupt.abort();
    const { failure } = await running;
    expect(failure).toContain("cancelled");
    expect(Date.now() - start).toBeLessThan(15_000);
    expect(linesOf()).toContain("cancelled a");
    const pids = linesOf().flatMap((line) => /^started (\d+)$/.exec(line)?.[1] ?? []);
    expect(pids).not.toEqual([]);
    await expect.poll(() => pids.filter((pid) => alive(Number(pid)))).toEqual([]);
  });
});
