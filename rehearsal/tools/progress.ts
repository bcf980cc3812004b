/** Long steps say what they do, why, and that they still do it. */

const everySeconds = 15;

export function say(message: string): void {
  process.stderr.write(`flotilla: ${message}\n`);
}

/** Runs a step that can take minutes: a line at its start, one every 15 s, one at its end. */
export async function withProgress<T>(start: string, doing: string, step: () => Promise<T>): Promise<T> {
  const began = Date.now();
  say(start);
  const timer = setInterval(
    () => say(`still ${doing}, ${renderDuration(Date.now() - began)}`),
    everySeconds * 1000,
  );
  try {
    const result = await step();
    say(`done ${doing} (${renderDuration(Date.now() - began)})`);
    return result;
  } finally {
    clearInterval(timer);
  }
}

/** `45 s`, `2 min 15 s`. */
export function renderDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`;
}
