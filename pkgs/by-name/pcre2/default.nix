{ buildC, fetchCrate }:
buildC {
  pname = "pcre2";
  version = "10.46";
  src = fetchCrate {
    crate = "pcre2-sys";
    version = "0.2.10";
    sha256 = "18b9073c1a2549bd409bf4a32c94d903bb1a09bf845bc306ae148897fa0760a4";
  };
  sourceRoot = "upstream";
  # Before anything is patched, so that the licence can be.
  postUnpack = "cp ../COPYING COPYING";

  library = "pcre2-8";
  abi = "0";
  cflags = [
    "-Isrc" "-Ideps" "-Iinclude" "-DHAVE_CONFIG_H" "-DPCRE2_CODE_UNIT_WIDTH=8" "-DSUPPORT_PCRE2_8=1"
    "-DSUPPORT_UNICODE=1" "-DSUPPORT_JIT=1" "-DHAVE_STDLIB_H=1" "-DHAVE_MEMMOVE=1" "-DSTDC_HEADERS=1"
  ];
  sources = map (f: "src/pcre2_${f}.c") [
    "auto_possess" "chartables" "chkdint" "compile" "compile_class" "config" "context" "convert"
    "dfa_match" "error" "extuni" "find_bracket" "jit_compile" "maketables" "match" "match_data"
    "newline" "ord2utf" "pattern_info" "script_run" "serialize" "string_utils" "study" "substitute"
    "substring" "tables" "ucd" "valid_utf" "xclass"
  ];
  # Some C files are included by others.
  private = [
    "src/*.h" "src/pcre2_jit_match.c" "src/pcre2_jit_misc.c" "src/pcre2_ucptables.c" "include" "deps"
  ];
  public = [ "include/pcre2.h" ];
  documents = [ "COPYING" ];
}
