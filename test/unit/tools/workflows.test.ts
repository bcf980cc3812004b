import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { pulumi } from "../../../rehearsal/tools/pulumi.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const directory = join(root, ".github", "workflows");

const Step = z.looseObject({
  uses: z.string().optional(),
  run: z.string().optional(),
  with: z.record(z.string(), z.unknown()).optional(),
});
const Workflow = z.looseObject({
  permissions: z.unknown(),
  jobs: z.record(
    z.string(),
    z.looseObject({
      "timeout-minutes": z.number().optional(),
      permissions: z.unknown(),
      environment: z.string().optional(),
      steps: z.array(Step),
    }),
  ),
});

const workflows = readdirSync(directory).map((file) => {
  const text = readFileSync(join(directory, file), "utf8");
  return { file, text, workflow: Workflow.parse(parse(text)) };
});

describe.each(workflows)("$file", ({ text, workflow }) => {
  const jobs = Object.values(workflow.jobs);
  const steps = jobs.flatMap((job) => job.steps);

  test("gives each job only the permissions that it names, and a time limit", () => {
    expect(workflow.permissions).toEqual({});
    for (const job of jobs) {
      expect(job.permissions).toBeTypeOf("object");
      expect(job["timeout-minutes"]).toBeGreaterThan(0);
    }
  });

  test("pins every action to a commit, with its version beside it", () => {
    const uses = text.match(/uses: .*/g) ?? [];
    for (const line of uses) expect(line).toMatch(/^uses: [\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    expect(uses).toHaveLength(steps.filter((step) => step.uses !== undefined).length);
  });

  test("hands values to scripts through the environment, never as text of the script", () => {
    for (const step of steps) expect(step.run ?? "").not.toContain("${{");
  });

  test("shows secrets only to jobs of a protected environment", () => {
    for (const job of jobs) {
      if (job.environment === undefined) expect(JSON.stringify(job)).not.toContain("secrets.");
    }
  });

  test("runs the Pulumi that the tools have", () => {
    for (const step of steps) {
      if (step.uses?.startsWith("pulumi/actions@"))
        expect(step.with?.["pulumi-version"]).toBe(pulumi.version);
    }
  });
});

test("the Pulumi tool has the version of @pulumi/pulumi", () => {
  const manifest = z
    .looseObject({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  expect(manifest.dependencies["@pulumi/pulumi"]).toBe(pulumi.version);
});
