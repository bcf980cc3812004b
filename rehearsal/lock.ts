/** One rehearsal at a time in a world. */
import { existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/** @throws when a living process holds the world. */
export function lockWorld(dir: string): () => void {
  const path = join(dir, "lock");
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = openSync(path, "wx");
      writeSync(file, String(process.pid));
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const holder = Number(readFileSync(path, "utf8"));
      if (isAlive(holder))
        throw new Error(`process ${holder} is rehearsing in ${dir}; wait for it or end it`);
      rmSync(path, { force: true });
    }
  }
  throw new Error(`${path} cannot be taken`);
}

/** A process that has ended and that its parent has not looked after yet holds nothing. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return pid > 0 && !(existsSync(stat) && readFileSync(stat, "utf8").includes(") Z "));
}
