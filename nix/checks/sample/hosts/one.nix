{
  single = 4;
  words = [ "one" ];
}
