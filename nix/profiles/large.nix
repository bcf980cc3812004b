# 16 cores and more: as many builds at once as the machine has cores for, each with several.
{
  nix.settings = {
    max-jobs = "auto";
    cores = 8;
  };
}
