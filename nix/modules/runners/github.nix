# GitHub Actions runners, isolation `host`.
#
# Persistent: registered once, and again only when what it registered as (name, address, the mark of its registration)
# changes; the registration survives reboots and renewed tokens, and its labels are changed through GitHub's API. Ephemeral: registered for each job, with the token of that moment;
# the minter keeps it valid.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  unit = import ./unit.nix { inherit config lib pkgs; };
  cfg = config.flotilla.runners.github;

  urlOf =
    {
      name,
      forge,
      scope,
      ...
    }:
    {
      repo = "${forge.url}/${scope.owner}/${scope.name}";
      org = "${forge.url}/${scope.name}";
      enterprise = "${forge.url}/enterprises/${scope.name}";
    }
    .${scope.kind}
      or (throw "flotilla: runner '${name}': GitHub has no runners of scope '${scope.kind}'; use repo, org or enterprise");

  mkGithub =
    { runner, instance }:
    let
      listener = lib.getExe' cfg.package "Runner.Listener";
      url = lib.escapeShellArg (urlOf runner);
      labels = lib.escapeShellArg (lib.concatStringsSep "," runner.labels);
    in
    unit.mkRunner {
      inherit runner instance;
      packages = config.flotilla.runners.packages ++ [ pkgs.procps ];
      environment.RUNNER_ROOT = unit.stateDirOf (unit.idOf runner instance);

      register = ''
        cd "$STATE_DIRECTORY"
        name=$(< "$RUNTIME_DIRECTORY/name")
        wanted=$(printf '%s\n' "$name" ${url} "$(cat "$RUNTIME_DIRECTORY/mark")")
        if ${
          if runner.ephemeral then
            "true"
          else
            ''[[ ! -e .runner || $(cat registered-as 2> /dev/null) != "$wanted" ]]''
        }; then
          find . -mindepth 1 -delete
          # By environment: arguments can be read by every process of this user.
          ACTIONS_RUNNER_INPUT_TOKEN=$(< "$RUNTIME_DIRECTORY/token") ${listener} configure \
            --unattended --disableupdate --replace \
            --url ${url} --name "$name" --work "$CACHE_DIRECTORY" \
            ${lib.optionalString (runner.labels != [ ]) "--labels ${labels}"} \
            ${lib.optionalString runner.ephemeral "--ephemeral"}
          printf '%s\n' "$wanted" > registered-as
        fi
        # With it, a job could register runners of its own.
        rm -f "$RUNTIME_DIRECTORY/token"
      '';

      run = ''
        exec ${listener} run --startuptype service
      '';

      # The listener cancels its job when it is told to stop, so it is told in the moment that a job has ended.
      stop = ''
        cgroup=$(cut -d : -f 3 "/proc/$MAINPID/cgroup")
        while ! host_goes_down; do
          # 124: a job still runs. Anything else: it has ended, or there is none.
          status=0
          timeout 5 pidwait --cgroup "$cgroup" --full 'Runner\.Worker' > /dev/null || status=$?
          (( status == 124 )) || break
        done
        kill -INT "$MAINPID"
        while ! host_goes_down && kill -0 "$MAINPID" 2> /dev/null; do
          sleep 1
        done
      '';
    };
in
{
  options.flotilla.runners.github.package = lib.mkPackageOption pkgs "github-runner" { };

  config = lib.mkMerge [
    (unit.define (map mkGithub (unit.registrationsOf "github")))
    {
      flotilla.runners.onCredential = lib.genAttrs (map (runner: runner.name) (unit.runnersOf "github")) (
        _: "start"
      );

      assertions = map (runner: {
        assertion = runner.isolation != "container";
        message = "flotilla: runner '${runner.name}': isolation 'container' is there for Forgejo and Gitea only; a GitHub runner has no containers but those that a workflow asks for. Use 'host'.";
      }) (unit.runnersOf "github");
    }
  ];
}
