# Another way to do the same inside a private function.
final: prev: {
  libpng = prev.libpng.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libpng/impl.patch ]; });
}
