# Hetzner Cloud: a virtio guest; IPv4 by DHCP. Its metadata service is what IPAddressDeny of the runners' units keeps
# from jobs.
{ lib, modulesPath, ... }:
{
  imports = [ (modulesPath + "/profiles/qemu-guest.nix") ];

  networking.useDHCP = lib.mkDefault true;
}
