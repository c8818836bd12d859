{ buildC, fetchCrate, zlib }:
buildC {
  pname = "libpng";
  version = "1.6.50";
  src = fetchCrate {
    crate = "libpng-sys";
    version = "1.1.11";
    sha256 = "2e8d56e0541e2b1d73868e7b877624e1f9ce8787a91acdb867c30c579349d38b";
  };
  sourceRoot = "vendor";
  # Before anything is patched, so that the licence can be.
  postUnpack = "sed -n '/COPYRIGHT NOTICE/,/END OF COPYRIGHT/p' png.h >LICENSE";
  propagatedBuildInputs = [ zlib ];
  # The options that upstream ships ready; one file of assembly less than it would choose on some machines.
  prepare = "cp scripts/pnglibconf.h.prebuilt pnglibconf.h";

  library = "png16";
  abi = "16";
  cflags = [ "-DPNG_ARM_NEON_OPT=0" "-DPNG_INTEL_SSE_OPT=0" ];
  links = [ "z" "m" ];
  sources = [
    "png.c" "pngerror.c" "pngget.c" "pngmem.c" "pngpread.c" "pngread.c" "pngrio.c" "pngrtran.c"
    "pngrutil.c" "pngset.c" "pngtrans.c" "pngwio.c" "pngwrite.c" "pngwtran.c" "pngwutil.c"
  ];
  private = [ "*.h" ];
  public = [ "png.h" "pngconf.h" "pnglibconf.h" ];
  documents = [ "LICENSE" ];
}
