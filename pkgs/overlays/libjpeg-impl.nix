# Another way to do the same inside a private function.
final: prev: {
  libjpeg = prev.libjpeg.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libjpeg/impl.patch ]; });
}
