# A comment: the object code is the same.
final: prev: {
  pcre2 = prev.pcre2.overrideAttrs (old: { patches = (old.patches or [ ]) ++ [ ../patches/pcre2/comment.patch ]; });
}
