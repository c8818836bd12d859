# A comment in the public header.
final: prev: {
  libpng = prev.libpng.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/libpng/header-comment.patch ]; });
}
