{ buildC, fetchCrate }:
buildC {
  pname = "quickjs";
  version = "0.16.2";
  src = fetchCrate {
    crate = "rquickjs-sys";
    version = "0.14.0";
    sha256 = "cee271d0eeba64f0915b846cb7ae02e16faf3dfdffdca91731101d9d30fe3423";
  };
  sourceRoot = "quickjs";

  library = "qjs";
  abi = "0";
  cflags = [ "-D_GNU_SOURCE" "-DNDEBUG" ];
  links = [ "m" "pthread" "dl" ];
  sources = [ "libregexp.c" "libunicode.c" "quickjs.c" "dtoa.c" "quickjs-libc.c" ];
  programs.qjs = [ "qjs.c" "gen/repl.c" "gen/standalone.c" ];
  private = [ "*.h" ];
  public = [ "quickjs.h" "quickjs-libc.h" ];
  documents = [ "LICENSE" ];
}
