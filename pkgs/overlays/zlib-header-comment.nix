# A comment in the public header: every user includes it, none is compiled differently.
final: prev: {
  zlib = prev.zlib.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/zlib/header-comment.patch ]; });
}
