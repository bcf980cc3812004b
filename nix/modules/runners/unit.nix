# One unit for each registration of a runner: flotilla-runner-<runner>-<instance>.
#
# Nixpkgs has modules for all three runners. Each wants the registration's name, and Forgejo's the uuid, at evaluation;
# here both are the host's identity. GitHub's also compares its token file at every start and registers anew when it
# changed, so a token on a tmpfs that is renewed every hour would cost a persistent runner its registration at the first
# reboot. So these are units of our own, and the packages are nixpkgs'.
#
# The start has three steps:
#   hand over   as root: name, token and uuid go into the unit's own RuntimeDirectory
#   register    as the runner: joins the forge, and removes a token that is good for registering others
#   run         as the runner
{
  config,
  lib,
  pkgs,
}:
let
  inherit (config.flotilla.runners) gracefulStop;

  script =
    name: runtimeInputs: text:
    lib.getExe (pkgs.writeShellApplication { inherit name runtimeInputs text; });
in
rec {
  idOf = runner: instance: "${runner.name}-${toString instance}";
  stateDirOf = id: "/var/lib/flotilla-runners/${id}";
  workDirOf = id: "/var/cache/flotilla-runners/${id}";

  /**
    The kind's runners of a forge, one entry for each registration.
  */
  registrationsOf =
    forge:
    lib.concatMap (runner: map (instance: { inherit runner instance; }) (lib.range 1 runner.perHost)) (
      runnersOf forge
    );

  runnersOf = forge: lib.filter (runner: runner.forge.kind == forge) config.flotilla.kind.runners;

  /**
    A label as act-based runners want it: with the place that it stands for.
  */
  schemeLabels =
    runner:
    let
      labels = if runner.labels == [ ] then [ runner.name ] else runner.labels;
      scheme =
        if runner.isolation == "container" then
          "docker://${config.flotilla.runners.containerImage}"
        else
          "host";
    in
    map (label: if lib.hasInfix ":" label then label else "${label}:${scheme}") labels;

  /**
    Definitions of a NixOS module for registrations that `mkRunner` made.
  */
  define = registrations: {
    flotilla.runners.definitions = lib.listToAttrs (
      map ({ unit, definition, ... }: lib.nameValuePair unit definition) registrations
    );
    systemd.services = lib.listToAttrs (
      map ({ unit, service, ... }: lib.nameValuePair unit service) registrations
    );
  };

  /**
    One registration: its unit.

    - `extra`: more of the unit, as an option value of `systemd.services.<name>`.
    - `register`, `run`, `stop`: shell, run as the runner's user. In all of them $STATE_DIRECTORY survives a reboot,
      $CACHE_DIRECTORY is for the job, and $RUNTIME_DIRECTORY has `name`, `token`, `uuid` and `mark`.
    - `stop` returns when no job runs any more; it is not asked when the host goes down.
  */
  mkRunner =
    {
      runner,
      instance,
      packages,
      register,
      run,
      stop,
      environment ? { },
      extra ? { },
    }:
    let
      id = idOf runner instance;
      unit = "flotilla-runner-${id}";
      source = "/run/flotilla/runners/${id}";

      handOver = script "${unit}-hand-over" [ pkgs.coreutils ] ''
        for field in name secrets/token secrets/uuid secrets/mark; do
          file=$RUNTIME_DIRECTORY/$(basename "$field")
          rm -f "$file"
          if [[ -s ${source}/$field ]]; then
            install -m 0400 "${source}/$field" "$file"
            chown --reference="$STATE_DIRECTORY/." "$file"
          fi
        done
      '';
      steps = {
        register = script "${unit}-register" packages register;
        run = script "${unit}-run" packages ''
          find "$CACHE_DIRECTORY" -mindepth 1 -delete
          ${run}
        '';
        stop = script "${unit}-stop" (packages ++ [ config.systemd.package ]) ''
          [[ -n ''${MAINPID-} ]] || exit 0
          host_goes_down() { [[ $(systemctl is-system-running) == stopping ]]; }
          ${stop}
        '';
      };
      definition = builtins.hashString "sha256" (
        builtins.unsafeDiscardStringContext (
          builtins.toJSON [
            steps
            environment
          ]
        )
      );
    in
    {
      inherit unit definition;
      service = lib.mkMerge [
        extra
        {
          description = "Runner ${runner.name} (${toString instance}) for ${runner.forge.url}";
          wantedBy = [ "multi-user.target" ];
          wants = [ "network-online.target" ];
          after = [
            "network-online.target"
            "flotilla-identity.service"
          ];
          unitConfig.ConditionPathExists = [
            # Started by the Vault agent as soon as the credential is there.
            "${source}/secrets/token"
            "!/run/flotilla/drained/${unit}.service"
          ];
          startLimitIntervalSec = 0;
          # A switch must not end a job; refresh.nix restarts what changed, and does not make the switch wait.
          restartIfChanged = false;

          path = packages;
          environment = {
            HOME = stateDirOf id;
            FLOTILLA_DEFINITION = definition;
          }
          // environment;

          serviceConfig = {
            ExecStartPre = [
              "+${handOver}"
              steps.register
            ];
            ExecStart = steps.run;
            ExecStop = steps.stop;
            TimeoutStartSec = "5min";
            TimeoutStopSec = gracefulStop;
            # An ephemeral runner ends after its job, and registers anew.
            Restart = "always";
            RestartSec = 2;
            RestartSteps = 8;
            RestartMaxDelaySec = 300;
            Slice = "flotilla-runners.slice";

            DynamicUser = true;
            StateDirectory = "flotilla-runners/${id}";
            StateDirectoryMode = "0700";
            CacheDirectory = "flotilla-runners/${id}";
            CacheDirectoryMode = "0700";
            RuntimeDirectory = "flotilla-runners/${id}";
            RuntimeDirectoryMode = "0700";
            WorkingDirectory = stateDirOf id;
            UMask = "0077";

            # A cloud hands the machine's user data, and with it the SSH host key, to any process that asks.
            IPAddressDeny = [ "169.254.169.254/32" ];
            InaccessiblePaths = [
              "-/run/secrets"
              "-/run/flotilla/runners"
              "-/var/lib/flotilla"
            ];
            CapabilityBoundingSet = "";
            LockPersonality = true;
            NoNewPrivileges = true;
            PrivateDevices = true;
            PrivateTmp = true;
            ProtectClock = true;
            ProtectControlGroups = true;
            ProtectHome = true;
            ProtectHostname = true;
            ProtectKernelLogs = true;
            ProtectKernelModules = true;
            ProtectKernelTunables = true;
            ProtectProc = "invisible";
            ProtectSystem = "strict";
            RemoveIPC = true;
            RestrictAddressFamilies = [
              "AF_INET"
              "AF_INET6"
              "AF_UNIX"
              "AF_NETLINK"
            ];
            RestrictRealtime = true;
            RestrictSUIDSGID = true;
            SystemCallArchitectures = "native";
          };
        }
      ];
    };
}
