# Packages that need no build system: C files, flags, a library, some programs. The same description is
# built in one of two grains: "package", one derivation as in Nix; or "file", one derivation for each
# translation unit and one that links and installs, as in Bazel.
{ lib, stdenv, grain }:
let
  inherit (builtins) attrNames attrValues concatLists concatStringsSep replaceStrings;

  unitName = file: "c_" + replaceStrings [ "/" "-" "." ] [ "_" "_" "_" ] file;

  buildC =
    { pname
    , version
    , src
    , sources ? [ ]        # of the library
    , library ? ""         # its name, without "lib"
    , abi ? "0"            # the number in its soname
    , static ? false       # an archive instead of a shared object
    , programs ? { }       # name -> sources
    , private ? [ ]        # what else the compiler includes: shell patterns, for the "file" grain
    , public ? [ ]         # headers to install: "path" or "path:name"
    , documents ? [ ]
    , data ? [ ]           # what else checking and installing need of the sources
    , cflags ? [ ]
    , links ? [ ]
    , outputs ? if library == "" then [ "out" ] else stdenv.libraryOutputs
    , grain ? defaultGrain
    , passthru ? { }
    , ...
    }@args:
    let
      all = sources ++ concatLists (attrValues programs);
      common = removeAttrs args [
        "sources" "static" "programs" "private" "public" "documents" "data" "grain" "outputs" "passthru"
      ] // {
        inherit library cflags;
        links = map (l: "-l${l}") links;
        ccFunctions = ./cc.sh;
      };

      # The last steps, where `object` says how the shell spells the objects of some sources.
      link = objects: ''
        ${if library == "" then ""
          else if static then "archive ${library} ${objects sources}"
          else "shared ${library} ${version} ${abi} ${objects sources}"}
        ${concatStringsSep "\n" (map (p: "program ${p} ${objects programs.${p}}") (attrNames programs))}
      '';
      install = ''
        ${if public == [ ] then "" else "headers ${toString public}"}
        ${if documents == [ ] then "" else "documents ${toString documents}"}
        ${args.postInstall or ""}
      '';

      package = stdenv.mkDerivation (common // {
        inherit outputs;
        configurePhase = args.configurePhase or ":";
        buildPhase = "units ${toString all}\n" + link (files: "$(objects ${toString files})");
        installPhase = install;
      });

      # The patched tree taken apart: an output for each C file, one for all that they include, and
      # one for what is installed. Under content addressing an edit changes only what it touches.
      tree = stdenv.mkDerivation (removeAttrs common [ "postInstall" "doCheck" "checkPhase" ] // {
        name = "${pname}-${version}-tree";
        outputs = [ "includes" "installed" ] ++ map unitName all;
        configurePhase = args.configurePhase or ":";
        buildPhase = ":";
        installPhase = ''
          shopt -s globstar nullglob
          mkdir -p $includes $installed
          cp -r --parents -t $includes ${toString private}
          for f in ${toString (map sourcePart public ++ documents ++ data)}; do cp -r --parents -t $installed "$f"; done
          ${concatStringsSep "\n" (map (f: "cp ${f} \$${unitName f}") all)}
        '';
        fixupPhase = ":";
      });
      sourcePart = h: builtins.head (builtins.match "([^:]*)(:.*)?" h);

      object = file: stdenv.mkDerivation (removeAttrs common [
        "src" "patches" "postUnpack" "prepare" "postInstall" "sourceRoot" "links" "library" "doCheck" "checkPhase"
      ] // {
        name = "${pname}-${unitName file}.o";
        includes = tree.includes;
        unitSource = tree.${unitName file};
        buildPhase = ''
          mkdir -p source/${args.sourceRoot or "."}
          cp -r $includes/. source/${args.sourceRoot or "."}
          chmod -R u+w source
          cd source/${args.sourceRoot or "."}
          mkdir -p ${dirOf ("./" + file)}
          cp $unitSource ${file}
          unit ${file} object.o
        '';
        installPhase = "cp object.o $out";
        fixupPhase = ":";
      });

      linked = stdenv.mkDerivation (removeAttrs common [ "src" "patches" "postUnpack" "prepare" ] // {
        inherit outputs;
        buildPhase = ''
          cp -r ${tree.installed} source
          chmod -R u+w source
          cd source
          ${concatStringsSep "\n" (map (f: "mkdir -p $NIX_BUILD_TOP/obj/${dirOf ("./" + f)}; cp ${object f} $NIX_BUILD_TOP/obj/${f}.o") all)}
        '' + link (files: "$(objects ${toString files})");
        installPhase = install;
      });

      result = (if grain == "file" then linked else package) // passthru // {
        overrideAttrs = change: buildC (args // change args);
        # The same package in the finer grain; of that, itself, so that printing all of it ends.
        units = if grain == "file" then result else buildC (args // { grain = "file"; });
      };
    in
    result;

  defaultGrain = grain;
in
buildC
