# Another way to do the same inside a private function.
final: prev: {
  bzip2 = prev.bzip2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/bzip2/impl.patch ]; });
}
