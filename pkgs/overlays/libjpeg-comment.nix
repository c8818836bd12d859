# A comment: the object code is the same.
final: prev: {
  libjpeg = prev.libjpeg.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libjpeg/comment.patch ]; });
}
