# A sentence in the manual page.
final: prev: {
  xz = prev.xz.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/xz/doc.patch ]; });
}
