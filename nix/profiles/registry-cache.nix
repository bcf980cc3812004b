# A pull-through cache of Docker Hub, for the private networks that the host is in. Nothing can be pushed to it.
{
  services.dockerRegistry = {
    enable = true;
    listenAddress = "0.0.0.0";
    # 5000 is the binary cache's.
    port = 5001;
    enableDelete = true;
    enableGarbageCollect = true;
    garbageCollectDates = "weekly";
    extraConfig.proxy.remoteurl = "https://registry-1.docker.io";
  };

  networking.firewall.extraInputRules = ''
    ip saddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 } tcp dport 5001 accept
    ip6 saddr fc00::/7 tcp dport 5001 accept
  '';
}
