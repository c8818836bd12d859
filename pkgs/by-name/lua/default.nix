{ buildC, fetchCrate }:
buildC {
  pname = "lua";
  version = "5.4.9";
  src = fetchCrate {
    crate = "lua-src";
    version = "551.1.0";
    sha256 = "41d22b201501a536c0f5a96c7589b268b559172b20fb029064434e38ddcecb1f";
  };
  sourceRoot = "lua-5.4.9";
  # Before anything is patched, so that the licence can be.
  postUnpack = "cp ../LICENSE LICENSE";
  # The crate has the library only; the interpreter is ours.
  prepare = "cp ${./lua.c} lua.c";

  library = "lua";
  abi = "5.4";
  cflags = [ "-std=gnu99" "-DLUA_USE_LINUX" ];
  links = [ "m" "dl" ];
  sources = [
    "lapi.c" "lauxlib.c" "lbaselib.c" "lcode.c" "lcorolib.c" "lctype.c" "ldblib.c" "ldebug.c" "ldo.c"
    "ldump.c" "lfunc.c" "lgc.c" "linit.c" "liolib.c" "llex.c" "lmathlib.c" "lmem.c" "loadlib.c"
    "lobject.c" "lopcodes.c" "loslib.c" "lparser.c" "lstate.c" "lstring.c" "lstrlib.c" "ltable.c"
    "ltablib.c" "ltm.c" "lundump.c" "lutf8lib.c" "lvm.c" "lzio.c"
  ];
  programs.lua = [ "lua.c" ];
  private = [ "*.h" ];
  public = [ "lua.h" "luaconf.h" "lualib.h" "lauxlib.h" ];
  documents = [ "LICENSE" ];
}
