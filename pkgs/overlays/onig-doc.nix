# A sentence in the licence.
final: prev: {
  onig = prev.onig.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/onig/doc.patch ]; });
}
