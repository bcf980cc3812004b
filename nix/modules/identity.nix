# Identity: the name, operators' keys and runner names of this host. It is read at run time, so a hundred hosts of a kind
# are one system, and a new operator's key needs no build and no switch.
#
# What becomes of it:
#   host name                     /etc/hostname and the kernel's
#   authorizedKeys                <authorizedKeysDir>/root, kept over reboots: a broken identity locks nobody out
#   runners                       /run/flotilla/runners/<runner>-<instance>/{name,secrets}
# The last are paths that are known at evaluation (runner and instance are the kind's) and lead to what is not (the
# runner's name in the forge, and its secrets).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.flotilla.identity;

  apply = pkgs.writeShellApplication {
    name = "flotilla-identity";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.diffutils
      pkgs.jq
      config.systemd.package
    ];
    text = ''
      identity=${cfg.file}
      applied=/run/flotilla/identity.json

      if ! jq --exit-status '
        .version == 1
        and (.name | type == "string" and test("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))
        and (.authorizedKeys | type == "array")
        and (.runners | type == "array" and all([.name, .runner] | all(test("^[A-Za-z0-9][A-Za-z0-9._-]*$"))))
      ' "$identity" > /dev/null; then
        echo "$identity is no identity of version 1; the host keeps the one it has. Converge it again." >&2
        exit 1
      fi

      name=$(jq --raw-output .name "$identity")
      if [[ $(< /proc/sys/kernel/hostname) != "$name" ]]; then
        printf '%s\n' "$name" > /proc/sys/kernel/hostname
      fi
      printf '%s\n' "$name" > /etc/hostname

      keys=${cfg.authorizedKeysDir}/root
      jq --raw-output '.authorizedKeys[]' "$identity" > "$keys.new"
      chmod 0444 "$keys.new"
      mv "$keys.new" "$keys"

      declare -A wanted=()
      while IFS=$'\t' read -r unit runner; do
        wanted[$unit]=1
        mkdir -p "/run/flotilla/runners/$unit"
        printf '%s\n' "$runner" > "/run/flotilla/runners/$unit/name"
        mkdir -p "/run/secrets/runners/$runner"
        ln -sfn "/run/secrets/runners/$runner" "/run/flotilla/runners/$unit/secrets"
      done < <(jq --raw-output '.runners[] | [.runner + "-" + (.instance | tostring), .name] | @tsv' "$identity")

      for dir in /run/flotilla/runners/*/; do
        unit=$(basename "$dir")
        [[ -v wanted[$unit] ]] || rm -rf "/run/flotilla/runners/''${unit:?}"
      done

      if ! cmp --silent "$identity" "$applied"; then
        cp "$identity" "$applied"
        ${lib.concatMapStrings (unit: ''
          systemctl try-restart --no-block ${lib.escapeShellArg unit}
        '') cfg.restart}
      fi
    '';
  };
in
{
  options.flotilla.identity = {
    file = lib.mkOption {
      type = lib.types.path;
      default = "/etc/flotilla/identity.json";
      readOnly = true;
      description = "Where the identity is put: by the install, and by every converge before it activates.";
    };
    authorizedKeysDir = lib.mkOption {
      type = lib.types.path;
      default = "/var/lib/flotilla/authorized_keys.d";
      readOnly = true;
      description = "Where sshd finds the keys of the identity; only root has any.";
    };
    restart = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Units that read the identity when they start; restarted when it changes and they run.";
    };
  };

  config = {
    # Empty: the name is the identity's. NixOS then writes no /etc/hostname, and the one of the last boot names the host
    # until the identity is read.
    networking.hostName = "";

    systemd.tmpfiles.rules = [
      "d /run/flotilla 0755 root root -"
      "d /run/flotilla/runners 0755 root root -"
      "d /run/secrets 0711 root root -"
      "d /run/secrets/runners 0700 root root -"
      "d /var/lib/flotilla 0755 root root -"
      "d ${cfg.authorizedKeysDir} 0755 root root -"
    ];

    systemd.services.flotilla-identity = {
      description = "Identity of this host";
      wantedBy = [ "multi-user.target" ];
      before = [ "sshd.service" ];
      after = [ "systemd-tmpfiles-setup.service" ];
      unitConfig.ConditionPathExists = cfg.file;
      serviceConfig = {
        # It does not remain active, so that the path unit can start it again.
        Type = "oneshot";
        ExecStart = lib.getExe apply;
        UMask = "0022";
      };
    };

    systemd.paths.flotilla-identity = {
      description = "A new identity of this host";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathChanged = cfg.file;
    };
  };
}
