# Another way to do the same inside a private function: the library differs, its interface does not.
final: prev: {
  zlib = prev.zlib.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/zlib/impl.patch ]; });
}
