# One disk, GPT, ext4. It boots from BIOS and from UEFI, so one layout fits every machine.
#
# Partitions are found by label (/dev/disk/by-partlabel/disk-main-…), so the device may have another name after the
# install. There is no default device: what is wiped here, the operator names (`disk: /dev/disk/by-id/…`).
{
  config,
  lib,
  ...
}:
let
  bios = config.flotilla.kind.system == "x86_64-linux";
in
{
  disko.devices.disk.main = {
    type = "disk";
    content = {
      type = "gpt";
      partitions = {
        ESP = {
          size = "512M";
          type = "EF00";
          content = {
            type = "filesystem";
            format = "vfat";
            mountpoint = "/boot";
            mountOptions = [ "umask=0077" ];
          };
        };
        root = {
          size = "100%";
          content = {
            type = "filesystem";
            format = "ext4";
            mountpoint = "/";
            mountOptions = [ "noatime" ];
          };
        };
      }
      // lib.optionalAttrs bios {
        # Where GRUB puts itself for BIOS; disko passes the device on to GRUB.
        bios = {
          size = "1M";
          type = "EF02";
          priority = 1;
        };
      };
    };
  };

  boot.loader.grub = {
    enable = true;
    efiSupport = true;
    # At the path that every firmware tries: clouds forget boot entries.
    efiInstallAsRemovable = true;
  }
  // lib.optionalAttrs (!bios) { device = "nodev"; };
}
