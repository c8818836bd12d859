# Another way to do the same inside a private function.
final: prev: {
  xz = prev.xz.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/xz/impl.patch ]; });
}
