# A sentence in the licence.
final: prev: {
  pcre2 = prev.pcre2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/pcre2/doc.patch ]; });
}
