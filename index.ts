import { createFleet, type FleetOutputs } from "./components/fleet.ts";
import { readFleet } from "./fleet/config.ts";

/** The stack: read the fleet, build it, say what it is. */
export default async function program(): Promise<FleetOutputs> {
  return createFleet(readFleet());
}
