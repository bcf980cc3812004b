/** The mounts that a stack expects to find in its Vault. */
import { asTree } from "./stack-config.ts";

export async function prepareMounts(
  address: string,
  token: string,
  vault: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (typeof vault.mount === "string")
    await ensureMount(address, token, "mounts", vault.mount, { type: "kv", options: { version: "2" } });
  if (typeof vault.approleMount === "string")
    await ensureMount(address, token, "auth", vault.approleMount, { type: "approle" });
}

async function ensureMount(
  address: string,
  token: string,
  kind: string,
  path: string,
  body: unknown,
): Promise<void> {
  const headers = { "x-vault-token": token };
  const listed = await fetch(`${address}/v1/sys/${kind}`, { headers, signal: AbortSignal.timeout(10_000) });
  if (`${path}/` in asTree(asTree(await listed.json()).data)) return;
  const made = await fetch(`${address}/v1/sys/${kind}/${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  if (!made.ok) throw new Error(`the world's Vault refused to mount ${path}: ${made.status}`);
}
