# About 4 to 8 cores and 16 GiB.
{
  nix.settings = {
    max-jobs = 2;
    cores = 4;
  };
}
