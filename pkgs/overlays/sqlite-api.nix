# A new public function, in the header and in the library.
final: prev: {
  sqlite = prev.sqlite.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/sqlite/api.patch ]; });
}
