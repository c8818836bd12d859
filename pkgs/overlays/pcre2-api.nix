# A new public function, in the header and in the library.
final: prev: {
  pcre2 = prev.pcre2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/pcre2/api.patch ]; });
}
