/** The MD5 fingerprint that both clouds show for a public key, or undefined when the text is none. */
import { createHash } from "node:crypto";

export function sshFingerprint(publicKey: string): string | undefined {
  const [type, encoded = ""] = publicKey.trim().split(/\s+/);
  const blob = Buffer.from(encoded, "base64");
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  if (type === undefined || blob.subarray(4, 4 + length).toString() !== type) return undefined;
  return createHash("md5").update(blob).digest("hex").match(/../g)?.join(":");
}
