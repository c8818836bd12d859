{ buildC, fetchCrate }:
buildC {
  pname = "lz4";
  version = "1.10.0";
  src = fetchCrate {
    crate = "lz4-sys";
    version = "1.11.1+lz4-1.10.0";
    sha256 = "6bd8c0d6c6ed0cd30b3652886bb8711dc4bb01d637a68105a3d5158039b418e6";
  };
  sourceRoot = "liblz4/lib";

  library = "lz4";
  abi = "1";
  sources = [ "lz4.c" "lz4frame.c" "lz4hc.c" "lz4file.c" "xxhash.c" ];
  # Some C files are included by others.
  private = [ "*.h" "lz4.c" ];
  public = [ "lz4.h" "lz4frame.h" "lz4hc.h" "lz4file.h" ];
  documents = [ "LICENSE" ];
}
