# The Vault agent: logs in with the host's AppRole and keeps the runners' credentials in /run/secrets/runners/<name>.
#
# `services.vault-agent` writes its configuration into the store, where the host's name and its runners' names would
# have to be known at evaluation. They are not (see identity.nix), so the unit is our own: it makes the configuration
# from the identity each time it starts, and is restarted when the identity changes.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.flotilla.vault;
  inherit (config.flotilla) kind identity;

  systemctl = lib.getExe' config.systemd.package "systemctl";

  # From the identity to the configuration of the agent.
  configuration = pkgs.writeText "vault-agent.jq" ''
    # A value of the KV entry, empty when the entry does not have it (a registration token has no uuid).
    def field($path; $key):
      "{{ with secret \"" + $path + "\" }}{{ with .Data.data." + $key + " }}{{ . }}{{ end }}{{ end }}";

    def template($path; $key; $destination):
      { contents: field($path; $key), destination: $destination, perms: "0400", error_on_missing_key: false };

    . as $identity
    | {
        vault: { address: $address },
        # One-element lists: without them the agent takes each key of a nested object for a block of its own.
        auto_auth: [{
          method: [{
            type: "approle",
            mount_path: $auth,
            config: {
              role_id_file_path: ($approle + "/role-id"),
              secret_id_file_path: ($approle + "/secret-id"),
              # The default removes it, and the next start of the agent could not log in.
              remove_secret_id_file_after_reading: false
            }
          }]
        }],
        template_config: { static_secret_render_interval: "60s", exit_on_retry_failure: false },
        template: [
          $identity.runners[]
          | ($mount + "/data/hosts/" + $identity.name + "/" + .name) as $path
          | ("/run/secrets/runners/" + .name) as $dir
          | template($path; "uuid"; $dir + "/uuid"),
            # Another mark is another registration: the runner registers anew, when its job has ended.
            (template($path; "mark"; $dir + "/mark")
              + { exec: { command: [$systemctl, "try-restart", "--no-block",
                "flotilla-runner-\(.runner)-\(.instance).service"], timeout: "30s" } }),
            (template($path; "token"; $dir + "/token")
              # A runner of the identity that this system does not have yet gets its secrets, and no unit.
              + if $onChange[.runner] then
                  { exec: { command: [$systemctl, $onChange[.runner], "--no-block",
                    "flotilla-runner-\(.runner)-\(.instance).service"], timeout: "30s" } }
                else {} end)
        ]
      }
  '';

  render = pkgs.writeShellApplication {
    name = "flotilla-vault-agent-config";
    runtimeInputs = [ pkgs.jq ];
    text = ''
      umask 0077
      jq \
        --arg address ${lib.escapeShellArg kind.vault.address} \
        --arg auth ${lib.escapeShellArg "auth/${kind.vault.approleMount}"} \
        --arg mount ${lib.escapeShellArg kind.vault.mount} \
        --arg approle ${lib.escapeShellArg cfg.approleDir} \
        --arg systemctl ${lib.escapeShellArg systemctl} \
        --argjson onChange ${lib.escapeShellArg (builtins.toJSON config.flotilla.runners.onCredential)} \
        --from-file ${configuration} ${identity.file} > "$RUNTIME_DIRECTORY/config.json"
    '';
  };
in
{
  options.flotilla.vault = {
    package = lib.mkPackageOption pkgs "openbao" {
      extraDescription = ''
        OpenBao's agent speaks Vault's API, is free software and comes from the binary cache. `pkgs.vault` works as well,
        but is unfree and has to be built.
      '';
    };
    approleDir = lib.mkOption {
      type = lib.types.path;
      default = "/var/lib/flotilla/approle";
      description = "Directory of role-id and secret-id, as flotilla-approle leaves them.";
    };
  };

  config = {
    flotilla.identity.restart = [ "flotilla-vault-agent.service" ];

    systemd.services.flotilla-vault-agent = {
      description = "Credentials of this host's runners, from Vault";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "flotilla-identity.service"
      ];
      # Until the login is delivered there is nothing to do; flotilla-approle starts it.
      unitConfig.ConditionPathExists = [
        identity.file
        "${cfg.approleDir}/secret-id"
      ];
      startLimitIntervalSec = 0;
      environment = lib.optionalAttrs (kind.vault.namespace != null) {
        BAO_NAMESPACE = kind.vault.namespace;
        VAULT_NAMESPACE = kind.vault.namespace;
      };
      serviceConfig = {
        ExecStartPre = lib.getExe render;
        ExecStart = "${lib.getExe cfg.package} agent -config=%t/flotilla-vault-agent/config.json";
        ExecReload = "${lib.getExe' pkgs.coreutils "kill"} -HUP $MAINPID";
        KillSignal = "SIGINT";
        Restart = "always";
        RestartSec = 5;
        RestartSteps = 5;
        RestartMaxDelaySec = 120;

        RuntimeDirectory = "flotilla-vault-agent";
        RuntimeDirectoryMode = "0700";
        UMask = "0077";
        # Root, since it starts units; but it writes nowhere else.
        ProtectSystem = "strict";
        ReadWritePaths = [ "/run/secrets/runners" ];
        ProtectHome = true;
        PrivateTmp = true;
        PrivateDevices = true;
        NoNewPrivileges = true;
        ProtectKernelTunables = true;
        ProtectKernelModules = true;
        ProtectControlGroups = true;
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
          "AF_NETLINK"
        ];
      };
    };
  };
}
