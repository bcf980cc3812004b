/** What vault-agent does on a host: logs in with the host's AppRole and reads the secrets of its runners. */

export interface VaultAddress {
  readonly address: string;
  readonly mount: string;
  readonly approleMount: string;
  readonly namespace?: string | null;
}

export interface RunnerSecret {
  readonly kind: "registration-token" | "uuid-token";
  readonly token: string;
  /** Another one is another registration, a renewed token is not. */
  readonly mark?: string;
  readonly uuid?: string;
  readonly url?: string;
  readonly expiresAt?: string;
}

/** An answer of Vault that is no success; the message never holds what was sent. */
export class VaultRefusal extends Error {
  readonly status: number;
  constructor(status: number, what: string) {
    super(`Vault answered ${status} to ${what}`);
    this.name = "VaultRefusal";
    this.status = status;
  }
}

export async function login(vault: VaultAddress, roleId: string, secretId: string): Promise<string> {
  const answer = await call(vault, "POST", `auth/${vault.approleMount}/login`, undefined, {
    role_id: roleId,
    secret_id: secretId,
  });
  const { auth } = answer as { auth: { client_token: string } };
  return auth.client_token;
}

/** The secret of a placement, or undefined while there is none. */
export async function readSecret(
  vault: VaultAddress,
  token: string,
  host: string,
  placement: string,
): Promise<RunnerSecret | undefined> {
  try {
    const answer = await call(vault, "GET", `${vault.mount}/data/hosts/${host}/${placement}`, token);
    const { data } = answer as { data: { data: RunnerSecret | null } };
    return data.data ?? undefined;
  } catch (error) {
    if (error instanceof VaultRefusal && error.status === 404) return undefined;
    throw error;
  }
}

async function call(
  vault: VaultAddress,
  method: string,
  path: string,
  token?: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(`${vault.address.replace(/\/$/, "")}/v1/${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { "x-vault-token": token }),
      ...(vault.namespace === undefined || vault.namespace === null
        ? {}
        : { "x-vault-namespace": vault.namespace }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new VaultRefusal(response.status, `${method} ${path}`);
  }
  return response.json();
}
