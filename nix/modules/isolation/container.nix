# Isolation `container`: each job in a container of a rootless Podman (Forgejo, Gitea). The engine runs as a user without
# rights, under the host's systemd and not under a login session, and offers its API on a socket that only runners reach.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.flotilla.isolation.container;
  wanted = lib.any (
    runner: runner.isolation == "container" && runner.forge.kind != "github"
  ) config.flotilla.kind.runners;
in
{
  options.flotilla.isolation.container.socket = lib.mkOption {
    type = lib.types.path;
    default = "/run/flotilla-podman/podman.sock";
    readOnly = true;
    description = "Where the engine listens (Docker's API).";
  };

  config = lib.mkIf wanted {
    virtualisation.podman.enable = true;

    users.groups.flotilla-podman = { };
    users.users.flotilla-podman = {
      isSystemUser = true;
      group = "flotilla-podman";
      home = "/var/lib/flotilla-podman";
      autoSubUidGidRange = true;
    };

    systemd.services.flotilla-podman = {
      description = "Containers of this host's runners";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # Its containers are jobs.
      restartIfChanged = false;
      # newuidmap and newgidmap are there only.
      path = [ "/run/wrappers" ];
      environment = {
        HOME = "/var/lib/flotilla-podman";
        XDG_RUNTIME_DIR = "/run/flotilla-podman";
      };
      serviceConfig = {
        User = "flotilla-podman";
        Group = "flotilla-podman";
        # There is no session manager to ask for cgroups.
        ExecStart = "${lib.getExe pkgs.podman} --cgroup-manager=cgroupfs system service --time=0 unix://${cfg.socket}";
        Restart = "always";
        RestartSec = 2;
        Delegate = true;
        KillMode = "process";
        Slice = "flotilla-runners.slice";
        StateDirectory = "flotilla-podman";
        StateDirectoryMode = "0700";
        RuntimeDirectory = "flotilla-podman";
        RuntimeDirectoryMode = "0750";
        UMask = "0007";
        # As for runners: user data holds the SSH host key.
        IPAddressDeny = [ "169.254.169.254/32" ];
      };
    };
  };
}
