# What the configuration of an adopted machine would boot from: /run/current-system/flotilla-hardware.json. It is compared
# with the running machine before the first switch, so that a wrong hardware configuration changes nothing.
{ config, lib, ... }:
let
  root = config.fileSystems."/";
  inherit (config.boot.loader) grub;

  # Patterns match whatever link there is; names must exist.
  named = network: lib.toList (network.matchConfig.Name or [ ]);
  isName = name: builtins.match ".*[*?[ !].*" name == null;
  links =
    lib.attrNames config.networking.interfaces
    ++ lib.filter isName (lib.concatMap named (lib.attrValues config.systemd.network.networks));

  hardware = {
    root = { inherit (root) device fsType; };
    firmware = if grub.enable && !grub.efiSupport then "bios" else "efi";
    links = lib.unique links;
  };
in
lib.mkIf (config.flotilla.kind.disk == null) {
  system.systemBuilderCommands = ''
    echo -n ${lib.escapeShellArg (builtins.toJSON hardware)} > $out/flotilla-hardware.json
  '';
}
