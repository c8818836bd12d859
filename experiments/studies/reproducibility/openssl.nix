# openssl's libraries, with a build system that writes flags, platform and date into them.
{ pkgs ? ../../../pkgs, seed ? <floe/seed> }:
let
  set = import pkgs { inherit seed; };
in
{
  openssl = set.callPackage
    ({ mkDerivation, fetchCrate }: mkDerivation {
      pname = "openssl";
      version = "3.6.3";
      src = fetchCrate {
        crate = "openssl-src";
        version = "300.6.1+3.6.3";
        sha256 = "46eb8fb9fb3b61ce1c0f8a026c4c1a0714d3a9e138e7fbde78753ce2babc3846";
      };
      sourceRoot = "openssl";
      configurePhase = ''
        perl ./Configure linux-x86_64 --prefix=$out --openssldir=$out/etc/ssl --libdir=lib \
          no-shared no-tests no-apps no-docs no-module no-legacy $CFLAGS
      '';
      buildPhase = ''make -j"$jobs" build_libs'';
      installPhase = "make install_dev";
    })
    { };
}
