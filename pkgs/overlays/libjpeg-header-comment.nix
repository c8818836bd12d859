# A comment in the public header.
final: prev: {
  libjpeg = prev.libjpeg.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libjpeg/header-comment.patch ]; });
}
