{
  single = 1;
  maybe = null;
  either = 3;
  words = [ "base" ];
  text = "base";
  set.fromBase = 1;
  set.shared = 0;
  service.port = 0;
  service.mode = "base";
  forced = 9;
}
