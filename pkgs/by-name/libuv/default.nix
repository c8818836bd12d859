{ mkDerivation, fetchCrate }:
mkDerivation {
  pname = "libuv";
  version = "1.53.1";
  src = fetchCrate {
    crate = "libuv-sys2";
    version = "1.53.1";
    sha256 = "58de9994f8d4774f47ec62220c61fb257604c70c7e2ad2588e2e8f631b4cc2f2";
  };
  sourceRoot = "libuv";
  cmakeFlags = "-DBUILD_TESTING=OFF -DLIBUV_BUILD_TESTS=OFF -DLIBUV_BUILD_BENCH=OFF";
}
