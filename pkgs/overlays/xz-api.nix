# A new public function, in the header and in the library.
final: prev: {
  xz = prev.xz.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/xz/api.patch ]; });
}
