# A sentence in the licence.
final: prev: {
  freetype = prev.freetype.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/freetype/doc.patch ]; });
}
