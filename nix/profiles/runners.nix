# Hosts that run CI jobs.
{
  # Actions that set up a toolchain download programs made for other distributions.
  programs.nix-ld.enable = true;

  # A job that eats the machine must leave it sshd, the Vault agent and the runners themselves.
  systemd.slices.flotilla-runners.sliceConfig = {
    CPUWeight = 50;
    IOWeight = 50;
    MemoryHigh = "85%";
    MemoryMax = "92%";
    TasksMax = "80%";
  };

  # File watchers of test runners.
  boot.kernel.sysctl."fs.inotify.max_user_watches" = 1048576;
  boot.kernel.sysctl."fs.inotify.max_user_instances" = 8192;

  # Builds fill the store: collect before the disk is full, not after.
  nix.settings = {
    min-free = 5 * 1024 * 1024 * 1024;
    max-free = 20 * 1024 * 1024 * 1024;
  };
}
