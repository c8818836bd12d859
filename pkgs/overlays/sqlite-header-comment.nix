# A comment in the public header.
final: prev: {
  sqlite = prev.sqlite.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/sqlite/header-comment.patch ]; });
}
