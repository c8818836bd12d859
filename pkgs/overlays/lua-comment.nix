# A comment: the object code is the same.
final: prev: {
  lua = prev.lua.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/lua/comment.patch ]; });
}
