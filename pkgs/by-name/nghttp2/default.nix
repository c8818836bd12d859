{ mkDerivation, fetchCrate }:
mkDerivation {
  pname = "nghttp2";
  version = "1.68.1";
  src = fetchCrate {
    crate = "libnghttp2-sys";
    version = "0.1.13+1.68.1";
    sha256 = "492e00167f1418c15648144f42bbfc63099806ecee9bf8d09a6353d6b4856b3c";
  };
  sourceRoot = "nghttp2";
  cmakeFlags = "-DENABLE_LIB_ONLY=ON -DENABLE_DOC=OFF -DBUILD_STATIC_LIBS=OFF -DBUILD_TESTING=OFF";
}
