# Modules for Lua: deflate, inflate and checksums by zlib, regular expressions by pcre2, and a few in Lua.
{ buildC, lua, zlib, pcre2 }:
buildC {
  pname = "luamodules";
  version = "1.0";
  src = ../../programs/luamodules;
  buildInputs = [ lua zlib pcre2 ];
  nativeBuildInputs = [ lua ];
  cflags = [ "-std=gnu11" ];
  modules = [ "zlib" "pcre2" ];
  # Lua loads a module by its file's name; what it needs of Lua is in the interpreter's library.
  buildPhase = ''
    mkdir -p $out/lib/lua
    for m in $modules; do
      unit $m.c $m.o
      $CC -shared -o $out/lib/lua/$m.so $m.o $LDFLAGS -llua $(sed -n 's/^\/\* links: \(.*\) \*\/$/\1/p' $m.c)
    done
  '';
  installPhase = ''
    install -Dm444 -t $out/share/lua *.lua
    install -Dm555 /dev/stdin $out/bin/lua-with-modules <<END
    #!/bin/sh
    LUA_PATH="$out/share/lua/?.lua" LUA_CPATH="$out/lib/lua/?.so" exec ${lua}/bin/lua "\$@"
    END
  '';
  doCheck = true;
  checkPhase = "LUA_PATH='./?.lua' LUA_CPATH=\"$out/lib/lua/?.so\" lua check.lua";
}
