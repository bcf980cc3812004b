# A cloud's machine is a virtio guest.
{ config, lib, ... }:
lib.mkIf (config.flotilla.kind.provider != "existing") {
  boot.initrd.availableKernelModules = [
    "virtio_blk"
    "virtio_mmio"
    "virtio_net"
    "virtio_pci"
    "virtio_scsi"
  ];
  boot.initrd.kernelModules = [
    "virtio_balloon"
    "virtio_console"
    "virtio_rng"
  ];
}
