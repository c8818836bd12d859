# A comment: the object code is the same. It adds no line, since numbers of lines are in the object code.
final: prev: {
  sqlite = prev.sqlite.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/sqlite/comment.patch ]; });
}
