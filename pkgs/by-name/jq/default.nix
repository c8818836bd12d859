{ buildC, fetchCrate, onig }:
buildC {
  pname = "jq";
  version = "1.6";
  src = fetchCrate {
    crate = "jq-src";
    version = "0.4.1";
    sha256 = "ae23a0c161dda65b96213574a016d314bce32e7060b6587c1c7d3c612c66b4b5";
  };
  sourceRoot = "modules/jq";
  # What upstream's Makefile generates: the version, and the library in jq's own language as C strings.
  prepare = ''
    echo '#define JQ_VERSION "1.6"' >src/version.h
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' src/builtin.jq >src/builtin.inc
  '';
  buildInputs = [ onig ];

  library = "jq";
  abi = "1";
  cflags = [
    "-I." "-D_GNU_SOURCE" "-DIEEE_8087=1" "-DHAVE_LIBONIG=1" "-DHAVE_TM_TM_GMT_OFF=1"
    "-DHAVE___THREAD=1" "-DHAVE_PTHREAD_KEY_CREATE=1" "-DHAVE_PTHREAD_ONCE=1"
  ] ++ map (f: "-DHAVE_${f}=1") [
    "ACOS" "ACOSH" "ALLOCA_H" "ASIN" "ASINH" "ATAN" "ATAN2" "ATANH" "ATEXIT" "CBRT" "CEIL" "COPYSIGN"
    "COS" "COSH" "DREM" "ERF" "EXP" "EXP10" "EXP2" "EXPM1" "FABS" "FDIM" "FLOOR" "FMA" "FMAX" "FMIN"
    "FMOD" "FREXP" "GAMMA" "GETTIMEOFDAY" "GMTIME" "GMTIME_R" "HYPOT" "ISATTY" "J0" "J1" "JN" "LDEXP"
    "LGAMMA" "LGAMMA_R" "LOCALTIME_R" "LOG" "LOG10" "LOG1P" "LOG2" "LOGB" "MEMMEM" "MKSTEMP" "MODF"
    "NEARBYINT" "NEXTAFTER" "NEXTTOWARD" "POW" "REMAINDER" "RINT" "ROUND" "SCALB" "SCALBLN"
    "SIGNIFICAND" "SIN" "SINH" "SQRT" "STRFTIME" "STRPTIME" "TAN" "TANH" "TGAMMA" "TIMEGM" "TRUNC"
    "Y0" "Y1" "YN"
  ];
  links = [ "onig" "m" "pthread" ];
  sources = map (f: "src/${f}.c") [
    "builtin" "bytecode" "compile" "execute" "jq_test" "jv" "jv_alloc" "jv_aux" "jv_dtoa" "jv_file"
    "jv_parse" "jv_print" "jv_unicode" "lexer" "linker" "locfile" "parser" "util"
  ];
  programs.jq = [ "src/main.c" ];
  private = [ "src/*.h" "src/builtin.inc" ];
  public = [ "src/jq.h" "src/jv.h" ];
  documents = [ "COPYING" ];
}
