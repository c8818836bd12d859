/* The Lua module `zlib`: compress(text), uncompress(bytes), crc32(text), version(). */
/* links: -lz */
#include <lauxlib.h>
#include <lua.h>
#include <zlib.h>

static int l_compress(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  uLongf m = compressBound(n);
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, m);
  if (compress2((Bytef *)room, &m, (const Bytef *)text, n, 9) != Z_OK) return luaL_error(L, "zlib: cannot compress");
  luaL_pushresultsize(&buffer, m);
  return 1;
}

static int l_uncompress(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  z_stream z = {.next_in = (Bytef *)bytes, .avail_in = n};
  luaL_Buffer buffer;
  int status = inflateInit(&z);
  luaL_buffinit(L, &buffer);
  while (status == Z_OK) {
    z.next_out = (Bytef *)luaL_prepbuffsize(&buffer, 4096);
    z.avail_out = 4096;
    status = inflate(&z, Z_NO_FLUSH);
    luaL_addsize(&buffer, 4096 - z.avail_out);
  }
  inflateEnd(&z);
  if (status != Z_STREAM_END) return luaL_error(L, "zlib: no zlib stream");
  luaL_pushresult(&buffer);
  return 1;
}

static int l_crc32(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_pushinteger(L, crc32(0, (const Bytef *)text, n));
  return 1;
}

static int l_version(lua_State *L) {
  lua_pushstring(L, zlibVersion());
  return 1;
}

int luaopen_zlib(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"compress", l_compress}, {"uncompress", l_uncompress}, {"crc32", l_crc32}, {"version", l_version}, {0}};
  luaL_newlib(L, functions);
  return 1;
}
