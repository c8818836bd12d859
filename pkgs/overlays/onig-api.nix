# A new public function, in the header and in the library.
final: prev: {
  onig = prev.onig.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/onig/api.patch ]; });
}
