# Another way to do the same inside a private function.
final: prev: {
  freetype = prev.freetype.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/freetype/impl.patch ]; });
}
