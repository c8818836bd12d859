# To JSON and back.
let
  items = builtins.genList (n: { id = n; name = "item \"${toString n}\""; nested.list = [ n null true 1.5 ]; }) 10000;
in
builtins.length (builtins.fromJSON (builtins.toJSON items))
