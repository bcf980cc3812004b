/** A drain outside of the provider's process: the program asks for it before a cloud powers a machine off. */
import { drain } from "./drain.ts";
import { createServices } from "./services.ts";
import { parseSettings } from "./settings.ts";
import type { Connection } from "./ssh.ts";

/** @param settings the provider's, as one JSON document */
export async function drainMachine(
  connection: Connection,
  settings: string,
  say: { progress(message: string): void; warn(message: string): void },
): Promise<void> {
  const { signal } = new AbortController();
  const services = createServices(parseSettings({ settings }), process.cwd(), signal);
  try {
    services.ssh.connect(connection);
    await drain(connection.host, services, { signal, ...say });
  } finally {
    services.close();
  }
}
