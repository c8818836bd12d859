# A sentence in the licence.
final: prev: {
  libjpeg = prev.libjpeg.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libjpeg/doc.patch ]; });
}
