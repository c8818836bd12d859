# A comment in the public header.
final: prev: {
  freetype = prev.freetype.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/freetype/header-comment.patch ]; });
}
