/** The provider's process: prints its port for the engine and ends with it. */
import { convergeType } from "./converge.ts";
import { gateType } from "./gate.ts";
import { installType } from "./install.ts";
import { serveProvider } from "./protocol.ts";
import { registrationType } from "./registration.ts";
import { seedType } from "./seed.ts";
import { createServices, type Services } from "./services.ts";
import { parseSettings } from "./settings.ts";

const abort = new AbortController();
let services: Services | undefined;

function configured(): Services {
  if (services === undefined) throw new Error("the provider flotilla was not configured");
  return services;
}

const [engine] = process.argv.slice(2);
const server = await serveProvider(
  {
    name: "flotilla",
    version: "0.1.0",
    resources: {
      "flotilla:index:Seed": seedType,
      "flotilla:index:Install": installType(configured),
      "flotilla:index:Registration": registrationType(configured),
      "flotilla:index:Converge": convergeType(configured),
      "flotilla:index:Gate": gateType(configured),
    },
    configure: (config) => {
      services?.close();
      services = createServices(parseSettings(config), process.cwd(), abort.signal);
    },
    cancel: () => abort.abort(new Error("cancelled")),
  },
  engine,
);

async function end(): Promise<void> {
  await server.close();
  services?.close();
  // Programs that were asked to end get a moment; those that stay are killed with this process.
  setTimeout(() => process.exit(0), abort.signal.aborted ? 200 : 0);
}

// The engine ends its plugins with SIGINT and kills those that stay. Ctrl-C does not reach us: we have our own process
// group, and the engine cancels us in its own time.
process.on("SIGINT", () => void end());
process.on("SIGTERM", () => void end());
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) void end();
}, 500).unref();

console.log(server.port);
