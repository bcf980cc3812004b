{ lib, ... }:
{
  config = lib.mkMerge [
    {
      single = 2;
      maybe = "a";
      words = [ "a" ];
      set.shared = 1;
      service = {
        port = 1;
        mode = "a";
      };
      conditional = 1;
    }
    (lib.mkIf false { single = 7; })
  ];
}
