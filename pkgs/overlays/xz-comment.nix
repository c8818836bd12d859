# A comment: the object code is the same.
final: prev: {
  xz = prev.xz.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/xz/comment.patch ]; });
}
