# A new public function, in the header and in the library.
final: prev: {
  freetype = prev.freetype.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/freetype/api.patch ]; });
}
