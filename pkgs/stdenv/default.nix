# How a derivation is made: one builder (setup.sh, run by the seed's bash), phases that any package
# may replace by a string, and inputs turned into directories for the compiler at evaluation time.
{ lib, seed, system, contentAddressed, split }:
let
  inherit (lib) libraryClosure optionalAttrs outputOf;

  mkDerivation = attrs:
    let
      libraries = libraryClosure ((attrs.buildInputs or [ ]) ++ (attrs.propagatedBuildInputs or [ ]));
      name = attrs.name or "${attrs.pname}-${attrs.version}";
      own = { outputs = [ "out" ]; } // removeAttrs attrs [ "passthru" "buildInputs" "propagatedBuildInputs" "nativeBuildInputs" ];
    in
    derivation
      (own // {
        inherit name system;
        builder = "/bin/bash";
        args = [ "-e" ./setup.sh ];
        # The root file system of the build; part of its key like every other input.
        __rootfs = seed;
        includeDirs = map (drv: "${outputOf "dev" drv}/include") libraries;
        libDirs = map (drv: "${outputOf "out" drv}/lib") libraries;
        prefixes = map (drv: "${outputOf "dev" drv}") libraries;
        binDirs = map (drv: "${outputOf "out" drv}/bin") (attrs.nativeBuildInputs or [ ]);
      } // optionalAttrs contentAddressed {
        __contentAddressed = true;
        outputHashMode = "recursive";
        outputHashAlgo = "sha256";
      })
    // {
      inherit (attrs) version;
      pname = attrs.pname or name;
      propagatedBuildInputs = attrs.propagatedBuildInputs or [ ];
      overrideAttrs = change: mkDerivation (attrs // change attrs);
    }
    // (attrs.passthru or { });
in
{
  inherit mkDerivation;

  # A package that installs headers, libraries and documents: one output, or three when the set is split.
  libraryOutputs = if split then [ "out" "dev" "doc" ] else [ "out" ];
}
