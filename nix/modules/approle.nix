# flotilla-approle: how a host receives its Vault login. The program mints a secret-id, wrapped, and hands the wrapping
# token over a strict connection on standard input; only this host ever sees what is inside. A token that somebody
# unwrapped before us is the sign of a theft, and has an exit code of its own.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  flotilla-approle = pkgs.writeShellApplication {
    name = "flotilla-approle";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
      pkgs.jq
      config.systemd.package
    ];
    text = ''
      request=$(cat)
      field() { jq --raw-output --exit-status --arg key "$1" '.[$key] // empty' <<< "$request"; }
      if ! address=$(field address) || ! token=$(field wrappingToken) || ! role=$(field roleId); then
        echo 'flotilla-approle: standard input must be {"address", "wrappingToken", "roleId", "namespace"?}' >&2
        exit 2
      fi
      namespace=$(field namespace || true)

      # Secrets go by file descriptor: arguments can be read by every process of the host.
      headers() {
        printf 'X-Vault-Token: %s\n' "$token"
        if [[ -n $namespace ]]; then printf 'X-Vault-Namespace: %s\n' "$namespace"; fi
      }
      if ! answer=$(headers | curl --silent --show-error --max-time 30 --retry 3 --retry-connrefused \
        --header @- --request PUT --write-out '\n%{http_code}' "''${address%/}/v1/sys/wrapping/unwrap"); then
        echo "flotilla-approle: no answer from Vault at $address" >&2
        exit 1
      fi
      status=''${answer##*$'\n'}
      body=''${answer%$'\n'*}
      case $status in
        200) ;;
        400 | 403)
          echo "flotilla-approle: the wrapping token was used before or has expired. If nobody unwrapped it on purpose, treat the secret-id as stolen." >&2
          exit 3
          ;;
        *)
          echo "flotilla-approle: Vault at $address answered $status" >&2
          exit 1
          ;;
      esac
      if ! secret=$(jq --raw-output --exit-status '.data.secret_id' <<< "$body"); then
        echo "flotilla-approle: the wrapping token does not hold a secret-id" >&2
        exit 1
      fi

      umask 0377
      put() {
        rm -f "$1.new"
        printf '%s' "$2" > "$1.new"
        mv -f "$1.new" "$1"
      }
      put ${config.flotilla.vault.approleDir}/role-id "$role"
      put ${config.flotilla.vault.approleDir}/secret-id "$secret"

      systemctl restart --no-block flotilla-vault-agent.service
    '';
  };
in
{
  environment.systemPackages = [ flotilla-approle ];

  systemd.tmpfiles.rules = [ "d ${config.flotilla.vault.approleDir} 0700 root root -" ];

  assertions = [
    {
      assertion = lib.hasPrefix "/var/" config.flotilla.vault.approleDir;
      message = "flotilla.vault.approleDir must lie under /var: a login that is gone after a reboot leaves the host without credentials";
    }
  ];
}
