# Hetzner Cloud: one virtual SCSI disk; BIOS on Intel and AMD, UEFI on Arm.
{ lib, ... }:
{
  imports = [ ./generic.nix ];

  disko.devices.disk.main.device = lib.mkDefault "/dev/sda";
}
