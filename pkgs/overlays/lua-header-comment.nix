# A comment in the public header.
final: prev: {
  lua = prev.lua.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/lua/header-comment.patch ]; });
}
