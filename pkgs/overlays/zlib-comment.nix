# A comment: the object code is the same.
final: prev: {
  zlib = prev.zlib.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/zlib/comment.patch ]; });
}
