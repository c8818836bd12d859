# A transitive closure.
builtins.length (builtins.genericClosure {
  startSet = [ { key = 1; } ];
  operator = { key }: map (key: { inherit key; }) (if key > 20000 then [ ] else [ (key * 2) (key + 3) ]);
})
