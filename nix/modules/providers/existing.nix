# A machine that is there already: unknown hardware, so all common controllers and firmware. An adopted machine says what
# it has in hosts/<name>.nix.
{ config, lib, ... }:
lib.mkIf (config.flotilla.kind.provider == "existing") {
  boot.initrd.availableKernelModules = [
    "ahci"
    "nvme"
    "sd_mod"
    "usb_storage"
    "virtio_blk"
    "virtio_pci"
    "virtio_scsi"
    "xhci_pci"
  ];
  hardware.enableRedistributableFirmware = lib.mkDefault true;
  hardware.cpu.intel.updateMicrocode = lib.mkDefault (config.flotilla.kind.system == "x86_64-linux");
  hardware.cpu.amd.updateMicrocode = lib.mkDefault (config.flotilla.kind.system == "x86_64-linux");
  networking.useDHCP = lib.mkDefault true;
}
