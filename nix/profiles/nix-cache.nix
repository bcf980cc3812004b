# A binary cache of this host's store, for the private networks that it is in.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  directory = "/var/lib/flotilla/nix-cache";
in
{
  services.harmonia.cache = {
    enable = true;
    signKeyPaths = [ "${directory}/secret-key" ];
    settings.bind = "[::]:5000";
  };

  # The key is the host's own: made once, never in the store. Clients trust what `public-key` beside it says.
  systemd.services.flotilla-nix-cache-key = {
    description = "Signing key of the binary cache";
    requiredBy = [ "harmonia.service" ];
    before = [ "harmonia.service" ];
    unitConfig.ConditionPathExists = "!${directory}/secret-key";
    serviceConfig = {
      Type = "oneshot";
      UMask = "0077";
    };
    path = [
      config.nix.package
      pkgs.coreutils
    ];
    script = ''
      mkdir -p ${directory}
      nix-store --generate-binary-cache-key "$(< /proc/sys/kernel/hostname)-1" ${directory}/new-key ${directory}/public-key
      chmod 0644 ${directory}/public-key
      mv ${directory}/new-key ${directory}/secret-key
    '';
  };

  networking.firewall.extraInputRules = ''
    ip saddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 } tcp dport 5000 accept
    ip6 saddr fc00::/7 tcp dport 5000 accept
  '';

  # What was pushed here is what clients come for; stronger than any other tag's.
  nix.gc.options = lib.mkOverride 60 "--delete-older-than 90d";
}
