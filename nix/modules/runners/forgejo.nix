# Forgejo runners (server ≥ 15, runner ≥ 12.8), isolation `host` and `container`. There is no registration on the host:
# the forge made the runner's record, and uuid and token are what the runner logs in with each time. The uuid is known at
# run time only, so the configuration is completed when the unit starts.
#
# A job of isolation `host` runs as the runner and could read this token; it stands for this one runner and no other.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  unit = import ./unit.nix { inherit config lib pkgs; };
  act = import ./act.nix { inherit config lib; };
  cfg = config.flotilla.runners.forgejo;

  mkForgejo =
    { runner, instance }:
    let
      id = unit.idOf runner instance;
      program = lib.getExe cfg.package;
      settings = pkgs.writeText "flotilla-runner-${id}.json" (
        builtins.toJSON (
          act.settings {
            inherit runner;
            labels = unit.schemeLabels runner;
            workDir = unit.workDirOf id;
            stateDir = unit.stateDirOf id;
          }
        )
      );
    in
    unit.mkRunner {
      inherit runner instance;
      packages = config.flotilla.runners.packages ++ [ pkgs.jq ];
      environment = act.environment runner;
      inherit (act) stop;
      extra = act.extra runner;

      register = ''
        if [[ ! -e $RUNTIME_DIRECTORY/uuid ]]; then
          echo "Vault has no uuid for this runner: it was registered with a Forgejo before 15, which this unit cannot use" >&2
          exit 1
        fi
        uuid=$(< "$RUNTIME_DIRECTORY/uuid")
        ${lib.optionalString runner.ephemeral ''
          # The forge removed the record after its job; its successor comes from Vault.
          if [[ $uuid == "$(cat "$STATE_DIRECTORY/spent" 2> /dev/null)" ]]; then
            echo "waiting for the credential of the next job" >&2
            exit 1
          fi
        ''}
        # No runner.file: beside a connection the runner refuses it.
        rm -f "$STATE_DIRECTORY/.runner"
        jq --arg uuid "$uuid" --arg name "$(< "$RUNTIME_DIRECTORY/name")" \
          --arg url ${lib.escapeShellArg runner.forge.url} --arg token "file:$RUNTIME_DIRECTORY/token" \
          '.runner.name = $name
            | .server.connections.flotilla = { url: $url, uuid: $uuid, token_url: $token, labels: .runner.labels }' \
          ${settings} > "$RUNTIME_DIRECTORY/config.yaml"
      '';

      run =
        if runner.ephemeral then
          ''
            stopped=""
            trap 'stopped=1; kill -TERM "$job"' TERM
            ${program} one-job --config "$RUNTIME_DIRECTORY/config.yaml" --wait &
            job=$!
            # A trapped signal ends a wait before the job does.
            while kill -0 "$job" 2> /dev/null; do wait "$job" || status=$?; done
            if [[ -z $stopped && ''${status-0} == 0 ]]; then
              cp -f "$RUNTIME_DIRECTORY/uuid" "$STATE_DIRECTORY/spent"
            fi
            exit "''${status-0}"
          ''
        else
          ''
            exec ${program} daemon --config "$RUNTIME_DIRECTORY/config.yaml"
          '';
    };
in
{
  options.flotilla.runners.forgejo.package = lib.mkPackageOption pkgs "forgejo-runner" { };

  config = lib.mkMerge [
    (unit.define (map mkForgejo (unit.registrationsOf "forgejo")))
    {
      # The old credential is dead when there is a new one.
      flotilla.runners.onCredential = lib.genAttrs (map (runner: runner.name) (
        unit.runnersOf "forgejo"
      )) (_: "restart");
    }
  ];
}
