{ buildC, fetchCrate }:
buildC {
  pname = "tree-sitter";
  version = "0.27.1";
  src = fetchCrate {
    crate = "tree-sitter";
    version = "0.27.1";
    sha256 = "a5129de2ccc97808c4583d48f1fb44576d015cf241e432800572bda11ef30c3b";
  };

  library = "tree-sitter";
  abi = "0";
  cflags = [ "-std=c11" "-D_DEFAULT_SOURCE" "-D_POSIX_C_SOURCE=200112L" "-Isrc" "-Iinclude" ];
  # One file that includes the others.
  sources = [ "src/lib.c" ];
  private = [ "src" "include" ];
  public = [ "include" ];
  documents = [ "LICENSE" ];
}
