# Trivial derivations that do not depend on each other; `salt` makes them new ones.
{ count ? 300, salt ? "" }:
builtins.genList
  (n: derivation {
    name = "independent-${toString n}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "echo $n $salt > $out" ];
    inherit n salt;
  })
  count
