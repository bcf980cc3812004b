/** What the provider itself does in Vault: it writes runners' credentials and hands hosts their AppRole. */
import { z } from "zod";
import type { RunnerCredential } from "./forges/forge.ts";
import { HttpError, requestJson } from "./http.ts";
import type { Settings } from "./settings.ts";

const login = z.object({ auth: z.object({ client_token: z.string(), lease_duration: z.number() }) });
const wrapped = z.object({ wrap_info: z.object({ token: z.string(), wrapped_accessor: z.string() }) });
const roleIdAnswer = z.object({ data: z.object({ role_id: z.string() }) });
const accessorAnswer = z.object({ data: z.object({ expiration_time: z.string() }) });
const anything = z.unknown();

/** A host takes the wrapped secret-id within seconds; afterwards the wrapping token is worthless. */
const wrappingSeconds = 120;

export interface WrappedSecretId {
  readonly wrappingToken: string;
  readonly accessor: string;
  readonly roleId: string;
}

export class Vault {
  readonly #settings: Settings["vault"];
  readonly #signal: AbortSignal;
  #token: Promise<string> | undefined;
  /** When to log in anew: an up may outlive a login. */
  #renewAt = Number.POSITIVE_INFINITY;

  constructor(settings: Settings["vault"], signal: AbortSignal) {
    this.#settings = settings;
    this.#signal = signal;
  }

  get address(): string {
    return this.#settings.address;
  }

  get namespace(): string | undefined {
    return this.#settings.namespace;
  }

  /** Keeps a runner's credential where its host, and no other, may read it. */
  async writeRunner(
    host: string,
    runner: string,
    credential: RunnerCredential,
    about: { readonly url: string; readonly mark: string },
  ): Promise<void> {
    const path = `${this.#settings.mount}/data/hosts/${host}/${runner}`;
    await this.#call("POST", path, { data: { ...credential, ...about } }, anything);
  }

  /** Removes all versions; what is gone already is a success. */
  async removeRunner(host: string, runner: string): Promise<void> {
    await this.#call(
      "DELETE",
      `${this.#settings.mount}/metadata/hosts/${host}/${runner}`,
      undefined,
      anything,
    ).catch(unlessGone);
  }

  async mintSecretId(role: string): Promise<WrappedSecretId> {
    const base = `auth/${this.#settings.approleMount}/role/${role}`;
    const { data } = await this.#call("GET", `${base}/role-id`, undefined, roleIdAnswer);
    const answer = await this.#call("POST", `${base}/secret-id`, {}, wrapped, {
      "x-vault-wrap-ttl": String(wrappingSeconds),
    });
    return {
      roleId: data.role_id,
      wrappingToken: answer.wrap_info.token,
      accessor: answer.wrap_info.wrapped_accessor,
    };
  }

  /** When the secret-id ends, or undefined when Vault knows it no more. */
  async secretIdExpiry(role: string, accessor: string): Promise<string | undefined> {
    const path = `auth/${this.#settings.approleMount}/role/${role}/secret-id-accessor/lookup`;
    const answer = await this.#call("POST", path, { secret_id_accessor: accessor }, accessorAnswer).catch(
      (error) =>
        error instanceof HttpError && (error.status === 404 || error.status === 403 || error.status === 500)
          ? undefined
          : Promise.reject(error),
    );
    return answer?.data.expiration_time;
  }

  async #call<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    if (this.#token === undefined || Date.now() >= this.#renewAt) {
      this.#renewAt = Number.POSITIVE_INFINITY;
      this.#token = this.#login();
    }
    return this.#send(method, path, body, schema, { "x-vault-token": await this.#token, ...headers });
  }

  async #login(): Promise<string> {
    const { auth } = this.#settings;
    if ("token" in auth) return auth.token;
    const [path, body] =
      "jwt" in auth
        ? [`auth/${auth.jwt.mount}/login`, { role: auth.jwt.role, jwt: auth.jwt.token }]
        : [
            `auth/${auth.approle.mount}/login`,
            { role_id: auth.approle.roleId, secret_id: auth.approle.secretId },
          ];
    const answer = await this.#send("POST", path, body, login, {});
    const { client_token, lease_duration } = answer.auth;
    if (lease_duration > 0) this.#renewAt = Date.now() + lease_duration * 750;
    return client_token;
  }

  #send<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    headers: Readonly<Record<string, string>>,
  ): Promise<T> {
    const { address, namespace } = this.#settings;
    return requestJson({
      method,
      url: `${address}/v1/${path}`,
      headers: { ...headers, ...(namespace === undefined ? {} : { "x-vault-namespace": namespace }) },
      body,
      schema,
      what: `Vault at ${address}`,
      // Every one of these may be sent twice: a version, a role's login or a secret-id more does no harm.
      retry: true,
      signal: this.#signal,
    });
  }
}

function unlessGone(error: unknown): void {
  if (!(error instanceof HttpError && error.status === 404)) throw error;
}
