{ buildC, fetchCrate }:
buildC {
  pname = "onig";
  version = "6.9.10";
  src = fetchCrate {
    crate = "onig_sys";
    version = "69.9.3";
    sha256 = "1e68317604e77e53b85896388e1a803c1d21b74c899ec9e5e1112db90735edd7";
  };
  sourceRoot = "oniguruma";
  prepare = "cp ${./config.h} src/config.h";

  library = "onig";
  abi = "5";
  cflags = [ "-Isrc" "-DHAVE_CONFIG_H" ];
  sources = map (f: "src/${f}.c") [
    "regexec" "regerror" "regparse" "regext" "regcomp" "reggnu" "regenc" "regsyntax" "regtrav"
    "regversion" "st" "onig_init" "unicode" "ascii" "utf8" "utf16_be" "utf16_le" "utf32_be" "utf32_le"
    "euc_jp" "sjis" "iso8859_1" "iso8859_2" "iso8859_3" "iso8859_4" "iso8859_5" "iso8859_6" "iso8859_7"
    "iso8859_8" "iso8859_9" "iso8859_10" "iso8859_11" "iso8859_13" "iso8859_14" "iso8859_15"
    "iso8859_16" "euc_tw" "euc_kr" "big5" "gb18030" "koi8_r" "cp1251" "euc_jp_prop" "sjis_prop"
    "unicode_unfold_key" "unicode_fold1_key" "unicode_fold2_key" "unicode_fold3_key"
  ];
  private = [
    "src/*.h" "src/unicode_fold_data.c" "src/unicode_property_data*.c" "src/unicode_egcb_data.c"
    "src/unicode_wb_data.c"
  ];
  public = [ "src/oniguruma.h" ];
  documents = [ "COPYING" ];
}
