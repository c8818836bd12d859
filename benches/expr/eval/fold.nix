# Long lists: made, mapped, filtered and folded.
let
  numbers = builtins.genList (n: n * 3) 300000;
  even = builtins.filter (n: n - n / 2 * 2 == 0) numbers;
in
builtins.foldl' (sum: n: sum + n) 0 (map (n: n + 1) even)
