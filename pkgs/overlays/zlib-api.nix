# A new public function, in the header and in the library.
final: prev: {
  zlib = prev.zlib.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/zlib/api.patch ]; });
}
