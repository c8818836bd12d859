# Modules for Lua: deflate, inflate and checksums by zlib, regular expressions by pcre2, and JSON in Lua.
{ mkDerivation, lua, zlib, pcre2 }:
mkDerivation {
  pname = "luamodules";
  version = "1.0";
  src = ../../programs/luamodules;
  buildInputs = [ lua zlib pcre2 ];
  nativeBuildInputs = [ lua ];
  # A module says in its first lines what it links; Lua loads it by its file's name.
  buildPhase = ''
    for m in zlib pcre2; do
      $CC -std=gnu11 $CFLAGS $CPPFLAGS -shared -o $m.so $m.c $LDFLAGS -llua \
        $(sed -n 's/^\/\* links: \(.*\) \*\/$/\1/p' $m.c)
    done
  '';
  doCheck = true;
  checkPhase = "LUA_PATH='./?.lua' LUA_CPATH='./?.so' lua check.lua";
  installPhase = ''
    install -Dm555 -t $out/lib/lua *.so
    install -Dm444 -t $out/share/lua json.lua
    install -Dm555 /dev/stdin $out/bin/lua-with-modules <<END
    #!/bin/sh
    LUA_PATH="$out/share/lua/?.lua" LUA_CPATH="$out/lib/lua/?.so" exec ${lua}/bin/lua "\$@"
    END
  '';
}
