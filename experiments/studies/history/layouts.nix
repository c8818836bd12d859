# Where older versions lie otherwise than the one that the set pins: from the upstream version and the package's
# description, what changes in it. The same for all versions of a series, where that is possible, so that a step
# changes nothing but the source.
let
  without = names: builtins.filter (file: !builtins.elem file names);
in
{
  # Its licence became a file with 1.2.12.
  zlib = _: old: { documents = without [ "LICENSE" ] old.documents; };

  # The crate carries several versions of Lua, each in a folder of its own.
  lua = upstream: _: { sourceRoot = "lua-${upstream}"; };

  # 10.43 and 10.45 divided files.
  pcre2 = upstream: old: {
    sources = without
      (if upstream == "10.42" then [ "src/pcre2_chkdint.c" "src/pcre2_compile_class.c" ]
      else if upstream == "10.43" then [ "src/pcre2_compile_class.c" ]
      else [ ])
      old.sources;
  };

  # The crate has a licence of its own since 2.0.2.
  libjpeg = _: _: { postUnpack = ""; documents = [ ]; };
}
