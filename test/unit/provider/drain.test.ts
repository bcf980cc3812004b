import { expect, test } from "vitest";
import { drain } from "../../../provider/drain.ts";
import { Unreachable } from "../../../provider/ssh.ts";
import { contextOf, refusal, services } from "./fixture.ts";

/** A host that answers with this exit code, or not at all. */
function draining(answer: number | Error) {
  const context = contextOf("builder-1");
  const commands: string[] = [];
  const parts = services({
    settings: { drainSeconds: 1800 },
    ssh: {
      remote: async (host: string, command: string) => {
        commands.push(`${host}: ${command}`);
        if (answer instanceof Error) throw answer;
        return { code: answer, stdout: "", tail: ["what it said"] };
      },
    },
  });
  return { context, commands, done: drain("builder-1", parts(), context) };
}

test("waits for running jobs as long as the rollout says", async () => {
  const { done, commands, context } = draining(0);
  await done;
  expect(commands).toEqual(["builder-1: /run/current-system/sw/bin/flotilla-drain --timeout 1800"]);
  expect(context.said).toEqual(["progress: draining, at most 30 min"]);
});

test("keeps a host whose jobs still run, and says how to end them", async () => {
  expect(await refusal(draining(4).done)).toBe(
    "jobs still run on builder-1 after 30 min, so it stays; run up again later, or set rollout.drainMinutes: 0 to end them",
  );
});

test("keeps a host that cannot be drained", async () => {
  expect(await refusal(draining(1).done)).toBe("builder-1 could not be drained (exit 1):\n    what it said");
});

test("does not wait for a host that does not answer: its removal goes on, with a warning", async () => {
  const { done, context } = draining(new Unreachable("builder-1 does not answer over SSH"));
  await done;
  expect(context.said.at(-1)).toMatch(/^warn: builder-1 does not answer/);
});

test("keeps the host when it is cancelled", async () => {
  expect(await refusal(draining(new Error("ssh: cancelled")).done)).toBe("ssh: cancelled");
});
