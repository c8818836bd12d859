# Sets zipped by name, over and over: what merging nested sets costs as one of them grows.
let
  merge = left: right: builtins.zipAttrsWith (name: values:
    let
      last = builtins.elemAt values (builtins.length values - 1);
      nested = builtins.length values == 2 && builtins.all builtins.isAttrs values;
    in
    if nested then merge (builtins.head values) last else last) [ left right ];
  one = n: { tree.all."leaf-${toString n}" = n; tree.last = n; list = [ n ]; };
  merged = builtins.foldl' (all: n: merge all (one n)) { } (builtins.genList (n: n) 1500);
in
[ (builtins.length (builtins.attrNames merged.tree.all)) merged.tree.last merged.tree.all.leaf-7 ]
