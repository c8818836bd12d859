# A sentence in the manual page.
final: prev: {
  zlib = prev.zlib.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/zlib/doc.patch ]; });
}
