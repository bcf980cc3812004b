/** A rehearsal as a process of its own, so that a test can kill it: WORLD CONFIG-AS-JSON. */
import { join } from "node:path";
import { openRehearsal } from "../../rehearsal/rehearsal.ts";

const [dir = "", config = "{}"] = process.argv.slice(2);
const repo = join(import.meta.dirname, "..", "..");
const rehearsal = await openRehearsal({ repo, stack: "prod", dir, config: JSON.parse(config) });
const result = await rehearsal.run("up", { skipPreview: true });
await rehearsal.close();
process.exit(result.ok ? 0 : 1);
