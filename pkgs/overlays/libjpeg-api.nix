# A new public function, in the header and in the library.
final: prev: {
  libjpeg = prev.libjpeg.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libjpeg/api.patch ]; });
}
