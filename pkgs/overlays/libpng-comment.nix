# A comment: the object code is the same.
final: prev: {
  libpng = prev.libpng.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libpng/comment.patch ]; });
}
