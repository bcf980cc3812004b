# About 2 cores and 4 GiB.
{
  nix.settings = {
    max-jobs = 1;
    cores = 2;
  };
  zramSwap.memoryPercent = 100;
}
