# A chain of trivial derivations, each above the one before; `salt` makes it a new one.
{ length ? 300, salt ? "" }:
builtins.foldl'
  (below: n: derivation {
    name = "chain-${toString n}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "echo $n $salt > $out" ];
    inherit below n salt;
  })
  null
  (builtins.genList (n: n) length)
