# A comment: the object code is the same.
final: prev: {
  freetype = prev.freetype.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/freetype/comment.patch ]; });
}
