/* The Lua module `pcre2`: match(pattern, text) gives the groups, replace(pattern, text, with) the new text. */
/* links: -lpcre2-8 */
#include <lauxlib.h>
#include <lua.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static pcre2_code *compiled(lua_State *L) {
  size_t n;
  int error;
  PCRE2_SIZE offset;
  const char *pattern = luaL_checklstring(L, 1, &n);
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_UTF, &error, &offset, NULL);
  if (!code) {
    PCRE2_UCHAR message[160];
    pcre2_get_error_message(error, message, sizeof message);
    luaL_error(L, "pcre2: %s at %d of %s", message, (int)offset, pattern);
  }
  return code;
}

static int l_match(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 2, &n);
  pcre2_code *code = compiled(L);
  pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
  int groups = pcre2_match(code, (PCRE2_SPTR)text, n, 0, 0, data, NULL);
  if (groups > 0) {
    PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
    lua_createtable(L, groups, 0);
    for (int i = 0; i < groups; i++) {
      if (at[2 * i] == PCRE2_UNSET) lua_pushboolean(L, 0);
      else lua_pushlstring(L, text + at[2 * i], at[2 * i + 1] - at[2 * i]);
      lua_rawseti(L, -2, i);
    }
  } else {
    lua_pushnil(L);
  }
  pcre2_match_data_free(data);
  pcre2_code_free(code);
  return 1;
}

static int l_replace(lua_State *L) {
  size_t n, m;
  const char *text = luaL_checklstring(L, 2, &n), *with = luaL_checklstring(L, 3, &m);
  pcre2_code *code = compiled(L);
  PCRE2_SIZE size = 2 * n + 16 * m + 1024;
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, size);
  int status = pcre2_substitute(code, (PCRE2_SPTR)text, n, 0, PCRE2_SUBSTITUTE_GLOBAL, NULL, NULL,
                                (PCRE2_SPTR)with, m, (PCRE2_UCHAR *)room, &size);
  pcre2_code_free(code);
  if (status < 0) return luaL_error(L, "pcre2: cannot replace (%d)", status);
  luaL_pushresultsize(&buffer, size);
  return 1;
}

int luaopen_pcre2(lua_State *L) {
  static const luaL_Reg functions[] = {{"match", l_match}, {"replace", l_replace}, {0}};
  luaL_newlib(L, functions);
  return 1;
}
