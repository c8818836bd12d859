# Calls with set patterns: all names given, defaults that refer to others, the whole argument, ellipses.
let
  plain = { a, b, c }: a + b + c;
  defaults = { a, b ? a + 1, c ? b + 1 }: a + b + c;
  whole = { a, ... }@args: a + args.d;
  once = n: plain { a = n; b = 1; c = 2; } + defaults { a = n; } + whole { a = n; d = 1; e = 2; };
in
builtins.foldl' (sum: n: sum + once n) 0 (builtins.genList (n: n) 100000)
