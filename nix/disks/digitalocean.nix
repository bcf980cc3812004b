# DigitalOcean: one virtio disk; BIOS.
{ lib, ... }:
{
  imports = [ ./generic.nix ];

  disko.devices.disk.main.device = lib.mkDefault "/dev/vda";
}
