# Hosts that can run virtual machines: bare metal, or nested virtualisation. Hetzner Cloud has no /dev/kvm.
{
  # The one that does not fit the CPU fails to load, quietly.
  boot.kernelModules = [
    "kvm-intel"
    "kvm-amd"
    "vhost_vsock"
  ];
  boot.kernel.sysctl."net.ipv4.ip_forward" = 1;
}
