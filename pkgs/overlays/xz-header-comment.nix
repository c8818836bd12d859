# A comment in the public header.
final: prev: {
  xz = prev.xz.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/xz/header-comment.patch ]; });
}
