{ buildC, fetchCrate, zlib, bzip2, libpng }:
buildC {
  pname = "freetype";
  version = "2.13.2";
  src = fetchCrate {
    crate = "freetype-sys";
    version = "0.23.0";
    sha256 = "eab537ce43cab850c64b4cdc390ce7e4f47f877485ddc323208e268280c308ae";
  };
  sourceRoot = "freetype2";
  # It carries a copy of zlib, which must not be used by accident.
  prepare = "find src/gzip -name '*.h' ! -name 'ft*' -delete";
  buildInputs = [ zlib bzip2 libpng ];

  library = "freetype";
  abi = "6";
  cflags = [
    "-Iinclude" "-DFT2_BUILD_LIBRARY" "-DFT_CONFIG_OPTION_SYSTEM_ZLIB" "-DFT_CONFIG_OPTION_USE_BZIP2"
    "-DFT_CONFIG_OPTION_USE_PNG" "-DHAVE_UNISTD_H" "-DHAVE_FCNTL_H"
  ];
  links = [ "png16" "z" "bz2" "m" ];
  sources = map (f: "src/${f}.c") [
    "autofit/autofit" "base/ftbase" "base/ftbbox" "base/ftbdf" "base/ftbitmap" "base/ftcid"
    "base/ftdebug" "base/ftfstype" "base/ftgasp" "base/ftglyph" "base/ftgxval" "base/ftinit"
    "base/ftmm" "base/ftotval" "base/ftpatent" "base/ftpfr" "base/ftstroke" "base/ftsynth"
    "base/ftsystem" "base/fttype1" "base/ftwinfnt" "bdf/bdf" "bzip2/ftbzip2" "cache/ftcache" "cff/cff"
    "cid/type1cid" "gzip/ftgzip" "lzw/ftlzw" "pcf/pcf" "pfr/pfr" "psaux/psaux" "pshinter/pshinter"
    "psnames/psnames" "raster/raster" "sdf/sdf" "svg/svg" "sfnt/sfnt" "smooth/smooth"
    "truetype/truetype" "type1/type1" "type42/type42" "winfonts/winfnt"
  ];
  # Its C files include one another.
  private = [ "include" "src" ];
  public = [ "include" ];
  documents = [ "LICENSE.TXT" "docs/FTL.TXT" ];
}
