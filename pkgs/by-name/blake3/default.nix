{ buildC, fetchCrate }:
buildC {
  pname = "blake3";
  version = "1.8.7";
  src = fetchCrate {
    crate = "blake3";
    version = "1.8.7";
    sha256 = "6d9e454fc11f76977dc803893aff6304ed33d6a26efae8696573bea74baa27ae";
  };
  sourceRoot = "c";
  # The portable code only: the same result on every processor of the kind.
  cflags = [ "-DBLAKE3_NO_SSE2" "-DBLAKE3_NO_SSE41" "-DBLAKE3_NO_AVX2" "-DBLAKE3_NO_AVX512" ];

  library = "blake3";
  abi = "0";
  sources = [ "blake3.c" "blake3_dispatch.c" "blake3_portable.c" ];
  private = [ "*.h" ];
  public = [ "blake3.h" ];
}
