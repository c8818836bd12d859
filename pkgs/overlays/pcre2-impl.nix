# Another way to do the same inside a private function.
final: prev: {
  pcre2 = prev.pcre2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/pcre2/impl.patch ]; });
}
