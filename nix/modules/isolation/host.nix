# Isolation `host`: a job is a process of the runner's unit, as a user that exists only while the unit runs, under the
# sandbox of runners/unit.nix. It shares kernel, network and Nix daemon with the host: for trusted jobs.
{
  # Without this a job could ask the daemon for more than to build: for paths that nobody signed.
  nix.settings.trusted-users = [ "root" ];
}
