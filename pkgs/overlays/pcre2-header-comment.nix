# A comment in the public header.
final: prev: {
  pcre2 = prev.pcre2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/pcre2/header-comment.patch ]; });
}
