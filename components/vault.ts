/** The fleet's place in Vault, and each host's right to its own part of it. */
import * as pulumi from "@pulumi/pulumi";
import vault from "@pulumi/vault";
import type { Fleet, Host } from "../fleet/model.ts";
import type { VaultAuth } from "../fleet/schema.ts";

/** Longer than any drain: rollout.drainMinutes is at most a day. */
const providerTokenSeconds = 2 * 86_400;
/** A host that saw no `up` for this long asks for a new one by the next `up`. */
const secretIdSeconds = 90 * 86_400;
const hostTokenSeconds = 3600;

export interface FleetVault {
  /** Exists once hosts can be given an identity: made before any machine. */
  readonly ready: readonly pulumi.Resource[];
  /** Policy and AppRole of one host. */
  createIdentity(host: Host, opts: pulumi.CustomResourceOptions): vault.approle.AuthBackendRole;
}

export function createVault(fleet: Fleet, auth: VaultAuth, opts: pulumi.CustomResourceOptions): FleetVault {
  const { address, mount, approleMount, namespace, ownsMount, ownsApproleMount } = fleet.vault;
  const provider = new vault.Provider("vault", {
    address,
    ...(namespace === undefined ? {} : { namespace }),
    ...providerAuth(auth),
    maxLeaseTtlSeconds: providerTokenSeconds,
  });
  const own = { ...opts, provider };
  const secrets = ownsMount
    ? [new vault.Mount("vault-secrets", { path: mount, type: "kv", options: { version: "2" } }, own)]
    : [];
  const approle = ownsApproleMount
    ? [new vault.AuthBackend("vault-approle", { path: approleMount, type: "approle" }, own)]
    : [];
  return {
    ready: [...secrets, ...approle],
    createIdentity: (host, hostOpts) => {
      const name = `${fleet.name}-${host.name}`;
      const policy = new vault.Policy(
        `${host.name}-policy`,
        { name, policy: `path "${mount}/data/hosts/${host.name}/*" {\n  capabilities = ["read"]\n}\n` },
        { ...hostOpts, provider },
      );
      return new vault.approle.AuthBackendRole(
        `${host.name}-role`,
        {
          backend: approleMount,
          roleName: host.name,
          tokenPolicies: [policy.name],
          tokenTtl: hostTokenSeconds,
          secretIdTtl: secretIdSeconds,
        },
        { ...hostOpts, provider, dependsOn: [policy, ...approle] },
      );
    },
  };
}

/** The official provider's own words for each way to log in. */
function providerAuth(auth: VaultAuth): vault.ProviderArgs {
  if ("token" in auth) return { token: pulumi.secret(auth.token) };
  if ("jwt" in auth) {
    const { mount, role, token } = auth.jwt;
    return { authLoginJwt: { mount, role, jwt: pulumi.secret(token) } };
  }
  const { mount, roleId, secretId } = auth.approle;
  return {
    authLogin: {
      path: `auth/${mount}/login`,
      parameters: pulumi.secret({ role_id: roleId, secret_id: secretId }),
    },
  };
}
