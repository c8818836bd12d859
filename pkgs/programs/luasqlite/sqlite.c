/* The Lua module `sqlite`: open(path) gives a connection; connection:rows(sql, parameter...) a table of rows. */
#include <lauxlib.h>
#include <lua.h>
#include <sqlite3.h>

#define CONNECTION "sqlite connection"

static sqlite3 *connection(lua_State *L) { return *(sqlite3 **)luaL_checkudata(L, 1, CONNECTION); }

static int l_close(lua_State *L) {
  sqlite3 **db = luaL_checkudata(L, 1, CONNECTION);
  sqlite3_close(*db);
  *db = NULL;
  return 0;
}

static int l_rows(lua_State *L) {
  sqlite3 *db = connection(L);
  const char *sql = luaL_checkstring(L, 2);
  int parameters = lua_gettop(L) - 2, status, row = 0;
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
    return luaL_error(L, "sqlite: %s: %s", sqlite3_errmsg(db), sql);
  for (int i = 1; i <= parameters; i++) {
    size_t n;
    const char *text = luaL_tolstring(L, 2 + i, &n);
    sqlite3_bind_text(statement, i, text, n, SQLITE_TRANSIENT);
    lua_pop(L, 1);
  }
  lua_newtable(L);
  while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
    lua_newtable(L);
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
      lua_pushlstring(L, (const char *)sqlite3_column_blob(statement, i), sqlite3_column_bytes(statement, i));
      lua_setfield(L, -2, sqlite3_column_name(statement, i));
    }
    lua_rawseti(L, -2, ++row);
  }
  sqlite3_finalize(statement);
  if (status != SQLITE_DONE) return luaL_error(L, "sqlite: %s: %s", sqlite3_errmsg(db), sql);
  return 1;
}

static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  sqlite3 **db = lua_newuserdatauv(L, sizeof *db, 0);
  if (sqlite3_open(path, db) != SQLITE_OK) return luaL_error(L, "sqlite: cannot open %s", path);
  luaL_setmetatable(L, CONNECTION);
  return 1;
}

int luaopen_sqlite(lua_State *L) {
  static const luaL_Reg methods[] = {{"rows", l_rows}, {"close", l_close}, {0}};
  luaL_newmetatable(L, CONNECTION);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_newtable(L);
  lua_pushcfunction(L, l_open);
  lua_setfield(L, -2, "open");
  return 1;
}
