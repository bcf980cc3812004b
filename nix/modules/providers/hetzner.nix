# Hetzner Cloud: IPv4 by DHCP.
{ config, lib, ... }:
lib.mkIf (config.flotilla.kind.provider == "hetzner") {
  networking.useDHCP = lib.mkDefault true;
}
