# A sentence in the manual page.
final: prev: {
  bzip2 = prev.bzip2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/bzip2/doc.patch ]; });
}
