# A sentence in the licence.
final: prev: {
  lua = prev.lua.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/lua/doc.patch ]; });
}
