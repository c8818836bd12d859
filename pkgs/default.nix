# floe's package set: C libraries and programs from the ground up, and what is made with them.
#
#   floe build -f pkgs imagetool
#   floe build -f pkgs imagetool --arg overlays '[ (import ./pkgs/overlays/zlib-comment.nix) ]'
#
# See README.md for how to add, patch and override packages.
{ # The root file system of every build: a store path. floe supplies <floe/seed> by itself.
  seed ? <floe/seed>
, # Functions `final: prev: { ... }`, or paths of files that hold one, applied in order.
  overlays ? [ ]
, system ? builtins.currentSystem
, # "package": a derivation a package. "file": a derivation a translation unit, where a package allows it.
  grain ? "package"
, # Headers and documents of libraries in outputs of their own.
  split ? false
, # Ask for floating content-addressed outputs in the expressions themselves (floe needs no asking).
  contentAddressed ? false
}:
let
  lib = import ./lib;

  stdenv = import ./stdenv {
    inherit lib system contentAddressed split;
    # A path outside the evaluated sources is never copied: the seed is in the store already.
    seed = builtins.storePath seed;
  };

  # Every directory in by-name is a package of that name.
  names = builtins.attrNames (builtins.readDir ./by-name);

  base = final:
    let callPackage = lib.callPackageWith final;
    in
    builtins.listToAttrs (map (name: { inherit name; value = callPackage (./by-name + "/${name}") { }; }) names)
    // {
      inherit lib stdenv callPackage;
      inherit (stdenv) mkDerivation;
      inherit (import ./fetch.nix { }) fetchCrate fetchurl fetchPypi fetchNpm;
      buildC = import ./stdenv/cc.nix { inherit lib stdenv grain; };

      # What the demonstration builds, and everything.
      small = {
        inherit (final) zlib bzip2 libpng libjpeg freetype lua pcre2 onig jq imagetool luamodules report;
      };
      all = builtins.listToAttrs (map (name: { inherit name; value = final.${name}; }) names);
    };

  layered = builtins.foldl' (f: overlay: lib.extends (lib.overlayOf overlay) f) base overlays;
in
lib.fix layered
