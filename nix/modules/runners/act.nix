# What the runners of Forgejo and Gitea have in common; both descend from act.
{ config, lib }:
let
  socket = config.flotilla.isolation.container.socket;
in
{
  /**
    The configuration file, as data. JSON is YAML.
  */
  settings =
    {
      runner,
      labels,
      workDir,
      stateDir,
    }:
    {
      log.level = "info";
      runner = {
        inherit (runner) capacity;
        inherit labels;
        shutdown_timeout = config.flotilla.runners.gracefulStop;
      };
      cache = {
        enabled = true;
        dir = "${stateDir}/cache";
      };
      # "-": jobs get no socket of the engine, and with it no way to its other containers.
      container.docker_host = "-";
      host.workdir_parent = workDir;
    };

  environment =
    runner: lib.optionalAttrs (runner.isolation == "container") { DOCKER_HOST = "unix://${socket}"; };

  /**
    What the isolation adds to the unit.
  */
  extra =
    runner:
    lib.mkIf (runner.isolation == "container") {
      requires = [ "flotilla-podman.service" ];
      after = [ "flotilla-podman.service" ];
      serviceConfig.SupplementaryGroups = [ "flotilla-podman" ];
    };

  /**
    On SIGTERM these runners fetch no more jobs and end with their last one.
  */
  stop = ''
    kill -TERM "$MAINPID"
    while kill -0 "$MAINPID" 2> /dev/null; do
      if host_goes_down; then kill -KILL "$MAINPID"; fi
      sleep 1
    done
  '';
}
