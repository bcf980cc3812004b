# A switch leaves running runners alone (see unit.nix). Afterwards this restarts those that were started from another
# definition: each finishes its job first, and the switch does not wait for it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.flotilla.runners) definitions;

  refresh = pkgs.writeShellApplication {
    name = "flotilla-refresh-runners";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.gnugrep
      config.systemd.package
    ];
    text = lib.concatStrings (
      lib.mapAttrsToList (unit: definition: ''
        pid=$(systemctl show --property MainPID --value ${unit}.service)
        if (( pid > 0 )) && ! tr '\0' '\n' < "/proc/$pid/environ" | grep --quiet --line-regexp 'FLOTILLA_DEFINITION=${definition}'; then
          systemctl restart --no-block ${unit}.service
        fi
      '') definitions
    );
  };
in
lib.mkIf (definitions != { }) {
  systemd.services.flotilla-refresh-runners = {
    description = "Restart of runners that were defined anew";
    wantedBy = [ "multi-user.target" ];
    serviceConfig = {
      Type = "oneshot";
      # Remains active, so that a switch restarts it when, and only when, a definition changed.
      RemainAfterExit = true;
      ExecStart = lib.getExe refresh;
    };
  };
}
