# Gitea runners, isolation `host` and `container`. The registration token is the forge's to reuse; a persistent runner
# registers once, and again when its name, address or labels change.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  unit = import ./unit.nix { inherit config lib pkgs; };
  act = import ./act.nix { inherit config lib; };
  cfg = config.flotilla.runners.gitea;

  mkGitea =
    { runner, instance }:
    let
      id = unit.idOf runner instance;
      program = lib.getExe cfg.package;
      labels = unit.schemeLabels runner;
      settings = act.settings {
        inherit runner labels;
        workDir = unit.workDirOf id;
        stateDir = unit.stateDirOf id;
      };
      configFile = pkgs.writeText "flotilla-runner-${id}.yaml" (
        builtins.toJSON (lib.recursiveUpdate settings { runner.file = "${unit.stateDirOf id}/.runner"; })
      );
      arguments = lib.escapeShellArgs [
        "--instance"
        runner.forge.url
        "--labels"
        (lib.concatStringsSep "," labels)
      ];
    in
    unit.mkRunner {
      inherit runner instance;
      packages = config.flotilla.runners.packages;
      environment = act.environment runner;
      inherit (act) stop;
      extra = act.extra runner;

      register = ''
        cd "$STATE_DIRECTORY"
        name=$(< "$RUNTIME_DIRECTORY/name")
        wanted=$(printf '%s\n' "$name" "$(cat "$RUNTIME_DIRECTORY/mark")" ${arguments})
        if ${
          if runner.ephemeral then
            "true"
          else
            ''[[ ! -e .runner || $(cat registered-as 2> /dev/null) != "$wanted" ]]''
        }; then
          find . -mindepth 1 -delete
          ${program} register --no-interactive --config ${configFile} ${arguments} \
            --name "$name" --token "$(< "$RUNTIME_DIRECTORY/token")" \
            ${lib.optionalString runner.ephemeral "--ephemeral"}
          printf '%s\n' "$wanted" > registered-as
        fi
        # With it, a job could register runners of its own.
        rm -f "$RUNTIME_DIRECTORY/token"
      '';

      run = ''
        exec ${program} daemon --config ${configFile}
      '';
    };
in
{
  options.flotilla.runners.gitea.package = lib.mkPackageOption pkgs "gitea-actions-runner" { };

  config = lib.mkMerge [
    (unit.define (map mkGitea (unit.registrationsOf "gitea")))
    {
      flotilla.runners.onCredential = lib.genAttrs (map (runner: runner.name) (unit.runnersOf "gitea")) (
        _: "start"
      );
    }
  ];
}
