# A comment: the object code is the same.
final: prev: {
  onig = prev.onig.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/onig/comment.patch ]; });
}
