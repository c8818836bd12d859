# Another way to do the same inside a private function.
final: prev: {
  sqlite = prev.sqlite.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/sqlite/impl.patch ]; });
}
