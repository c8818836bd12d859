/* A small interpreter: `lua -v`, `lua -e CODE`, or `lua FILE ARGUMENT...` with the arguments in the table `arg`. */
#include <stdio.h>
#include <string.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static int traced(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  luaL_traceback(L, L, message ? message : "(an error that is no text)", 1);
  return 1;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  int status;
  if (L == NULL || argc < 2) {
    fprintf(stderr, "usage: lua -v | lua -e CODE | lua FILE ARGUMENT...\n");
    return 2;
  }
  if (strcmp(argv[1], "-v") == 0) {
    puts(LUA_COPYRIGHT);
    return 0;
  }
  luaL_openlibs(L);
  lua_createtable(L, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  lua_pushcfunction(L, traced);
  if (strcmp(argv[1], "-e") == 0 && argc > 2)
    status = luaL_loadbuffer(L, argv[2], strlen(argv[2]), "=(command line)");
  else
    status = luaL_loadfile(L, argv[1]);
  if (status == LUA_OK) status = lua_pcall(L, 0, 0, -2);
  if (status != LUA_OK) fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return status == LUA_OK ? 0 : 1;
}
