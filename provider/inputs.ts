/** Reads a resource's inputs or outputs, which arrive as plain JSON, into their types. */
import type { z } from "zod";
import type { Properties } from "./protocol.ts";

export function readProperties<S extends z.ZodType>(schema: S, properties: Properties): z.output<S> {
  const parsed = schema.safeParse(properties);
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  throw new Error(
    `the program and the provider disagree on this resource's properties (${paths}); run \`npm ci\``,
  );
}
