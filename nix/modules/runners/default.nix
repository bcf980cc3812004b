{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [
    ./forgejo.nix
    ./gitea.nix
    ./github.nix
    ./refresh.nix
  ];

  options.flotilla.runners = {
    packages = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      description = "What jobs of isolation `host` find on their PATH.";
    };
    containerImage = lib.mkOption {
      type = lib.types.str;
      default = "docker.io/library/node:24-bookworm";
      description = ''
        Image of jobs of isolation `container` whose label names none. A label may bring its own:
        `ubuntu-latest:docker://ghcr.io/…`.
      '';
    };
    gracefulStop = lib.mkOption {
      type = lib.types.str;
      default = "24h";
      description = ''
        Longest time (systemd.time) that stopping a runner waits for its job. A reboot does not wait. A switch that
        removes a runner does.
      '';
    };
    onCredential = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.enum [
          "start"
          "restart"
        ]
      );
      default = { };
      internal = true;
      description = ''
        By runner: what happens to its units when Vault has a new credential. `start` where the credential serves to
        register only: what runs is left alone.
      '';
    };
    definitions = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      internal = true;
      description = "By unit: hash of all that the running process was started from.";
    };
  };

  config = {
    flotilla.runners.packages = [
      config.nix.package
      pkgs.bash
      pkgs.coreutils
      pkgs.curl
      pkgs.findutils
      pkgs.gawk
      pkgs.gitMinimal
      pkgs.gnugrep
      pkgs.gnused
      pkgs.gnutar
      pkgs.gzip
      pkgs.jq
      pkgs.nodejs
      pkgs.xz
      pkgs.zstd
    ];

    # All jobs of the host together; a profile limits them here.
    systemd.slices.flotilla-runners.description = "Jobs of this host's runners";
  };
}
