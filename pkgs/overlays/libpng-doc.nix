# A sentence in the licence.
final: prev: {
  libpng = prev.libpng.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libpng/doc.patch ]; });
}
