# Sorting, by a builtin and by a function.
let
  scramble = n: n * 7919 - n * 7919 / 65537 * 65537;
  numbers = builtins.genList scramble 60000;
in
[
  (builtins.head (builtins.sort builtins.lessThan numbers))
  (builtins.head (builtins.sort (a: b: b < a) numbers))
]
