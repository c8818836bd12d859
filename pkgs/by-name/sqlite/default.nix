{ buildC, fetchCrate, zlib }:
buildC {
  pname = "sqlite";
  version = "3.51.1";
  src = fetchCrate {
    crate = "libsqlite3-sys";
    version = "0.36.0";
    sha256 = "95b4103cffefa72eb8428cb6b47d6627161e51c2739fc5e3b734584157bc642a";
  };
  sourceRoot = "sqlite3";
  # For functions that compress what is stored: an extension of ours, part of the library.
  postUnpack = "cp ${./deflate.c} deflate.c && chmod u+w deflate.c";
  buildInputs = [ zlib ];

  library = "sqlite3";
  abi = "0";
  cflags = [
    "-DSQLITE_ENABLE_FTS5" "-DSQLITE_ENABLE_COLUMN_METADATA" "-DSQLITE_THREADSAFE=1"
    "-DSQLITE_EXTRA_INIT=deflate_init" "-DHAVE_USLEEP=1"
  ];
  links = [ "z" "m" "pthread" "dl" ];
  sources = [ "sqlite3.c" "deflate.c" ];
  private = [ "*.h" ];
  public = [ "sqlite3.h" "sqlite3ext.h" ];
}
