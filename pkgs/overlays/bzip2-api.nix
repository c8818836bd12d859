# A new public function, in the header and in the library.
final: prev: {
  bzip2 = prev.bzip2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/bzip2/api.patch ]; });
}
