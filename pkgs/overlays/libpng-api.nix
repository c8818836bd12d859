# A new public function, in the header and in the library.
final: prev: {
  libpng = prev.libpng.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libpng/api.patch ]; });
}
