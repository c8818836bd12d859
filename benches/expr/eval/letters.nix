# Single letters: cut out, replaced by a partly applied function, looked for, sorted.
let
  alphabet = builtins.genList (n: builtins.substring n 1 "abcdefghijklmnopqrstuvwxyz") 26;
  capitals = builtins.genList (n: builtins.substring n 1 "ABCDEFGHIJKLMNOPQRSTUVWXYZ") 26;
  upper = builtins.replaceStrings alphabet capitals;
  text = builtins.concatStringsSep " " (builtins.genList (n: "the quick brown fox ${toString n}") 2000);
  letters = builtins.genList (n: builtins.substring n 1 text) (builtins.stringLength text);
  vowels = builtins.filter (letter: builtins.elem letter [ "a" "e" "i" "o" "u" ]) letters;
  sorted = builtins.sort (a: b: a < b) letters;
in
[
  (builtins.stringLength (builtins.concatStringsSep "" (map upper letters)))
  (builtins.length vowels)
  (builtins.elemAt sorted 30000)
]
