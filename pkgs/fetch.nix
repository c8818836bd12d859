# Sources by hash: fixed-output derivations that floe's own fetchers carry out, outside any sandbox.
{ }:
let
  fetcher = kind: { name, sha256, ... }@args:
    derivation ({
      system = "builtin";
      builder = "builtin:${kind}";
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = sha256;
      preferLocalBuild = true;
    } // removeAttrs args [ "sha256" ]);
in
{
  # A published crate's archive, the very bytes that the `checksum` of a Cargo.lock names.
  fetchCrate = { crate, version, sha256 }:
    fetcher "fetchcrate" {
      name = "${crate}-${version}.crate";
      inherit crate version sha256;
    };

  # A file by address.
  fetchurl = { url, sha256, name ? baseNameOf url }:
    fetcher "fetchurl" { inherit name url sha256; };

  # A Python package's wheel, and the archive of an npm package.
  fetchPypi = { package, version, sha256 }:
    fetcher "fetchpypi" { name = "${package}-${version}.whl"; inherit package version sha256; };
  fetchNpm = { package, version, sha256 }:
    fetcher "fetchnpm" { name = "${baseNameOf package}-${version}.tgz"; inherit package version sha256; };
}
