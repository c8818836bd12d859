# A comment: the object code is the same.
final: prev: {
  bzip2 = prev.bzip2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/bzip2/comment.patch ]; });
}
