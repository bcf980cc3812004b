# An adopted machine: it ran NixOS before this fleet, and is never installed. So its hardware is here and not in disks/:
# root filesystem, boot loader and network as `nixos-generate-config` found them. They are compared with the running
# machine before the first switch.
{
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  fileSystems."/boot" = {
    device = "/dev/disk/by-label/BOOT";
    fsType = "vfat";
    options = [ "umask=0077" ];
  };

  boot.initrd.availableKernelModules = [
    "ahci"
    "nvme"
    "xhci_pci"
  ];
  boot.loader.systemd-boot.enable = true;
  boot.loader.efi.canTouchEfiVariables = true;

  networking.useDHCP = false;
  networking.useNetworkd = true;
  systemd.network.networks."10-uplink" = {
    matchConfig.Type = "ether";
    address = [ "198.51.100.9/24" ];
    gateway = [ "198.51.100.1" ];
    dns = [ "198.51.100.1" ];
  };

  # The release that the machine was installed with.
  system.stateVersion = "25.05";
}
