# A set extended by a few attributes, many times over, and read in between.
let
  extend = set: n: set // { "name-${toString n}" = n; last = n; before = set.last; };
in
(builtins.foldl' extend { last = 0; } (builtins.genList (n: n) 3000)).before
