# A new public function, in the header and in the library.
final: prev: {
  lua = prev.lua.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/lua/api.patch ]; });
}
