# Hosts that others wait for: come back by themselves, and keep more to go back to.
{
  boot.kernel.sysctl = {
    # Seconds from a panic to the reboot.
    "kernel.panic" = 10;
    "kernel.panic_on_oops" = 1;
  };

  boot.loader.grub.configurationLimit = 20;
  boot.loader.systemd-boot.configurationLimit = 20;
  nix.gc.options = "--delete-older-than 30d";
}
