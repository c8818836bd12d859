# Texts: joined, cut, replaced, matched, hashed.
let
  words = builtins.genList (n: "word-${toString n}") 40000;
  text = builtins.concatStringsSep " " words;
  parts = builtins.filter builtins.isString (builtins.split " " text);
  upper = builtins.replaceStrings [ "word" "-" ] [ "WORD" "_" ] text;
  matched = builtins.filter (word: builtins.match "word-([0-9]*)7" word != null) words;
in
[ (builtins.length parts) (builtins.hashString "sha256" upper) (builtins.length matched) (builtins.substring 5 9 text) ]
