{ mkDerivation, fetchCrate }:
mkDerivation {
  pname = "libffi";
  version = "3.6.0";
  src = fetchCrate {
    crate = "libffi-sys";
    version = "4.2.2";
    sha256 = "eab801a4ae9065bfea87f37204a7940523e752056e4a090eaaaab9b47fc826b5";
  };
  sourceRoot = "libffi";
  configureFlags = "--disable-docs --disable-multi-os-directory";
}
