# Builders that say what they see, and builders that let it into their outputs: with them the study shows that it would
# find what it looks for.
{ seed ? <floe/seed>, system ? builtins.currentSystem }:
let
  build = name: script: derivation {
    inherit name system script;
    builder = "/bin/bash";
    args = [ "-eu" ./run.sh ];
    __rootfs = builtins.storePath seed;
  };
  specimens = import ./specimens.nix;
in
{
  # Everything that a builder can ask of its surroundings, a file each.
  probe = build "probe" (builtins.readFile ./probe.sh);
  specimens = builtins.mapAttrs (name: specimen: build "specimen-${name}" specimen.script) specimens;
  # What the study must know of them.
  about = builtins.mapAttrs (_: specimen: { inherit (specimen) cause; }) specimens;
}
