{ mkDerivation, fetchCrate }:
mkDerivation {
  pname = "xz";
  version = "5.8.4";
  src = fetchCrate {
    crate = "liblzma-sys";
    version = "0.4.9";
    sha256 = "7c7e3581f367a78d7b7e7ae948d023310556f0cfc13156c2e4e00e25616492b9";
  };
  sourceRoot = "xz";
  cmakeFlags = "-DBUILD_TESTING=OFF -DXZ_NLS=OFF -DXZ_DOC=OFF";
}
