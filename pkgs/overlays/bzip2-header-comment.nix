# A comment in the public header.
final: prev: {
  bzip2 = prev.bzip2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/bzip2/header-comment.patch ]; });
}
