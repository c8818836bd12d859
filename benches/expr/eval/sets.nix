# Large sets: made from a list, mapped, merged, intersected, looked up by computed names.
let
  count = 50000;
  named = builtins.listToAttrs (builtins.genList (n: { name = "attr-${toString n}"; value = n; }) count);
  twice = builtins.mapAttrs (_: value: value * 2) named;
  some = builtins.listToAttrs (builtins.genList (n: { name = "attr-${toString (n * 3)}"; value = null; }) (count / 3));
  both = builtins.intersectAttrs some (named // twice);
in
builtins.foldl' (sum: name: sum + both.${name}) 0 (builtins.attrNames both)
