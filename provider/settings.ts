/** The provider's configuration, as `components/` writes it. Rotating a credential changes this and no resource. */
import { z } from "zod";
import { credentialsSchema, vaultSchema } from "../fleet/schema.ts";
import type { Properties } from "./protocol.ts";

const settingsSchema = z.object({
  fleet: z.string(),
  forges: z.record(z.string(), z.object({ kind: z.enum(["github", "forgejo", "gitea"]), url: z.string() })),
  credentials: credentialsSchema,
  vault: z.object({
    address: z.string(),
    namespace: z.string().optional(),
    mount: z.string(),
    approleMount: z.string(),
    auth: vaultSchema.shape.auth,
  }),
  /** Installs, builds and pushes at once. */
  parallel: z.int().min(1),
  drainSeconds: z.int().min(0),
  /** How long a machine may take from its start to its first answer. */
  bootSeconds: z.number().positive(),
});

export type Settings = z.output<typeof settingsSchema>;

/** The engine keeps a provider's configuration as strings; `settings` is one JSON document. */
export function parseSettings(config: Properties): Settings {
  const text = config.settings;
  const parsed = settingsSchema.safeParse(typeof text === "string" ? parseJson(text) : undefined);
  if (!parsed.success) {
    const paths = parsed.error.issues.map((issue) => issue.path.join(".") || "settings").join(", ");
    throw new Error(`the provider flotilla is configured by components/fleet.ts; not valid here: ${paths}`);
  }
  return parsed.data;
}

/** JSON.parse's own error would repeat the text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
