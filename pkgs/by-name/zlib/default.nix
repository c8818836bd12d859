# The compression library at the bottom of nearly everything.
{ buildC, fetchCrate, static ? false }:
buildC {
  pname = "zlib";
  version = "1.3.2";
  src = fetchCrate {
    crate = "libz-sys";
    version = "1.1.31";
    sha256 = "ff20308ecabd635a2dc1dd5834a86c462cca20efba1d5d3ddab1f8aea3455cb2";
  };
  sourceRoot = "src/zlib";
  # The crate leaves the manual page out.
  postUnpack = "cp ${./zlib.3} zlib.3 && chmod u+w zlib.3";

  inherit static;
  library = "z";
  abi = "1";
  cflags = [ "-DHAVE_UNISTD_H" "-DHAVE_STDARG_H" "-D_LARGEFILE64_SOURCE=1" "-DHAVE_HIDDEN" ];
  sources = [
    "adler32.c" "compress.c" "crc32.c" "deflate.c" "gzclose.c" "gzlib.c" "gzread.c" "gzwrite.c"
    "infback.c" "inffast.c" "inflate.c" "inftrees.c" "trees.c" "uncompr.c" "zutil.c"
  ];
  private = [ "*.h" ];
  public = [ "zlib.h" "zconf.h" ];
  documents = [ "LICENSE" "zlib.3" ];
}
