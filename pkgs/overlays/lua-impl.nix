# Another way to do the same inside a private function.
final: prev: {
  lua = prev.lua.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/lua/impl.patch ]; });
}
