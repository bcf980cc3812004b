/** Ends a host's work before the host ends: no new job, then the running ones, then the runners. */
import { lastWords } from "./process.ts";
import type { Context } from "./protocol.ts";
import type { Services } from "./services.ts";
import { Unreachable } from "./ssh.ts";

/** flotilla-drain's exit code when jobs still run at the end of the time. */
const stillRunning = 4;
/** The shell's: an adopted machine whose first switch failed has no flotilla-drain. */
const noSuchCommand = 127;

export async function drain(
  host: string,
  services: Services,
  context: Pick<Context, "signal" | "progress" | "warn">,
): Promise<void> {
  const { drainSeconds } = services.settings;
  context.progress(`draining, at most ${Math.ceil(drainSeconds / 60)} min`);
  try {
    const result = await services.ssh.remote(
      host,
      `/run/current-system/sw/bin/flotilla-drain --timeout ${drainSeconds}`,
      {
        signal: context.signal,
        timeoutSeconds: drainSeconds + 120,
        retrySeconds: 20,
        onLine: context.progress,
      },
    );
    if (result.code === stillRunning)
      throw new Error(
        `jobs still run on ${host} after ${Math.ceil(drainSeconds / 60)} min, so it stays; run up again later, or set rollout.drainMinutes: 0 to end them`,
      );
    if (result.code === noSuchCommand) {
      context.warn(`${host} runs no system of the fleet, so there is nothing to drain`);
      return;
    }
    if (result.code !== 0)
      throw new Error(`${host} could not be drained (exit ${result.code})${lastWords(result.tail)}`);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    context.warn(`${host} does not answer, so there is nothing to wait for; its removal goes on`);
  }
}
