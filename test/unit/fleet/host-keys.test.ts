import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { deriveHostKey } from "../../../fleet/host-keys.ts";

const seed = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const key = (host = "builder-1", life = "1", purpose: "boot" | "host" = "host", from = seed) =>
  deriveHostKey(from, host, life, purpose).publicKey;
const hasKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined;

describe("a host key", () => {
  test("is derived alike by every version of this program: another one would lock the fleet out", () => {
    expect(key()).toBe("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBCDd2wiJb/UBn99hjRvi9nQkvs37I6P+P8h5l/XWH8U");
  });

  test("is another one for each seed, host, generation and purpose", () => {
    const keys = [
      key(),
      key("builder-2"),
      key("builder-1", "2"),
      key("builder-1", "1", "boot"),
      key("builder-1", "1", "host", seed.replace("00", "01")),
      // The parts do not run into each other.
      key("builder-", "11"),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test.skipIf(!hasKeygen)("is one that OpenSSH reads (skipped without ssh-keygen)", () => {
    const directory = mkdtempSync(join(tmpdir(), "flotilla-key-"));
    try {
      for (const life of ["1", "2", "2026-11"]) {
        const { privateKey, publicKey } = deriveHostKey(seed, "builder-1", life, "host");
        const file = join(directory, life);
        writeFileSync(file, privateKey, { mode: 0o600 });
        expect(execFileSync("ssh-keygen", ["-y", "-P", "", "-f", file], { encoding: "utf8" }).trim()).toBe(
          publicKey,
        );
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
