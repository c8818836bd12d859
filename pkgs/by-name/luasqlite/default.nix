# SQLite for Lua: one module.
{ mkDerivation, lua, sqlite }:
mkDerivation {
  pname = "luasqlite";
  version = "1.0";
  src = ../../programs/luasqlite;
  buildInputs = [ lua sqlite ];
  nativeBuildInputs = [ lua ];
  buildPhase = "$CC -std=gnu11 $CFLAGS $CPPFLAGS -shared -o sqlite.so sqlite.c $LDFLAGS -llua -lsqlite3";
  doCheck = true;
  checkPhase = "LUA_CPATH='./?.so' lua check.lua";
  installPhase = "install -Dm555 -t $out/lib/lua sqlite.so";
}
