/** SSH host keys, derived from the fleet's seed so that every connection is strict from the first. */
import { createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";

export interface HostKey {
  /** OpenSSH private key file. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…`. */
  readonly publicKey: string;
}

/**
 * `boot` stands in the machine's user data, which any process on it may read, and dies with the install; `host` is
 * the installed system's own.
 */
export type HostKeyPurpose = "boot" | "host";

/**
 * The Ed25519 key of one life of one machine.
 * @param seed the fleet's seed, hex
 * @param life what changes when the machine is another one: its generation
 */
export function deriveHostKey(seed: string, host: string, life: string, purpose: HostKeyPurpose): HostKey {
  const info = JSON.stringify(["flotilla ssh host key", host, life, purpose]);
  const secret = Buffer.from(hkdfSync("sha256", Buffer.from(seed, "hex"), "", info, 32));
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), secret]);
  const key = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  const point = key.export({ format: "der", type: "spki" }).subarray(-32);
  const blob = Buffer.concat([field("ssh-ed25519"), field(point)]);
  return {
    publicKey: `ssh-ed25519 ${blob.toString("base64")}`,
    privateKey: renderOpenSsh(secret, point, blob),
  };
}

/** The format of openssh-portable's PROTOCOL.key, unencrypted. */
function renderOpenSsh(secret: Buffer, point: Buffer, blob: Buffer): string {
  const check = Buffer.alloc(8);
  const inner = Buffer.concat([check, blob, field(Buffer.concat([secret, point])), field("")]);
  const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, index) => index + 1));
  const count = Buffer.from([0, 0, 0, 1]);
  const whole = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    count,
    field(blob),
    field(Buffer.concat([inner, padding])),
  ]);
  const lines = whole.toString("base64").match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
