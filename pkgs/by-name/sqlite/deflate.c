/* The SQL functions deflate(bytes) and inflate(bytes, size), in every connection. */
#include <zlib.h>

#include "sqlite3.h"

static void sql_deflate(sqlite3_context *context, int count, sqlite3_value **values) {
  uLong size = sqlite3_value_bytes(values[0]);
  uLongf packed = compressBound(size);
  void *room = sqlite3_malloc(packed);
  if (!room) sqlite3_result_error_nomem(context);
  else if (compress(room, &packed, sqlite3_value_blob(values[0]), size) != Z_OK)
    sqlite3_result_error(context, "cannot deflate", -1), sqlite3_free(room);
  else sqlite3_result_blob(context, room, packed, sqlite3_free);
}

static void sql_inflate(sqlite3_context *context, int count, sqlite3_value **values) {
  uLongf size = sqlite3_value_int(values[1]);
  void *room = sqlite3_malloc(size ? size : 1);
  if (!room) sqlite3_result_error_nomem(context);
  else if (uncompress(room, &size, sqlite3_value_blob(values[0]), sqlite3_value_bytes(values[0])) != Z_OK)
    sqlite3_result_error(context, "cannot inflate", -1), sqlite3_free(room);
  else sqlite3_result_blob(context, room, size, sqlite3_free);
}

static int open_connection(sqlite3 *db, char **message, const void *api) {
  int pure = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
  int status = sqlite3_create_function(db, "deflate", 1, pure, 0, sql_deflate, 0, 0);
  if (status != SQLITE_OK) return status;
  return sqlite3_create_function(db, "inflate", 2, pure, 0, sql_inflate, 0, 0);
}

int deflate_init(const char *unused) {
  return sqlite3_auto_extension((void (*)(void))open_connection);
}
