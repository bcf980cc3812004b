{ config, lib, ... }:
{
  single = 3;
  maybe = "b";
  either = "auto";
  words = [ "b" ];
  set.shared = 2;
  service.port = 2;
  service.mode = "b";
  conditional = lib.mkIf (config.single == 0) 5;
}
