# A comment in the public header.
final: prev: {
  onig = prev.onig.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/onig/header-comment.patch ]; });
}
