{ buildC, fetchCrate }:
buildC {
  pname = "bzip2";
  version = "1.0.8";
  src = fetchCrate {
    crate = "bzip2-sys";
    version = "0.1.13+1.0.8";
    sha256 = "225bff33b2141874fe80d71e07d6eec4f85c5c216453dd96388240f96e1acc14";
  };
  sourceRoot = "bzip2-1.0.8";

  library = "bz2";
  abi = "1.0";
  cflags = [ "-D_FILE_OFFSET_BITS=64" ];
  sources = [ "blocksort.c" "huffman.c" "crctable.c" "randtable.c" "compress.c" "decompress.c" "bzlib.c" ];
  programs.bzip2 = [ "bzip2.c" ];
  private = [ "*.h" ];
  public = [ "bzlib.h" ];
  documents = [ "LICENSE" "bzip2.1" ];
}
