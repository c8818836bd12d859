# Another way to do the same inside a private function.
final: prev: {
  onig = prev.onig.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/onig/impl.patch ]; });
}
