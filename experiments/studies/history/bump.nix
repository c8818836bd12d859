# One package of the set made from another published version of its source, as an overlay; all that uses it uses this one.
# Its name says no version: in each path of what uses it the version would stand beside the digest, and nobody could tell
# by the outputs what else differs.
{ package, crate, version, sha256, upstream }:
final: prev: {
  ${package} = prev.${package}.overrideAttrs (old: {
    name = package;
    version = upstream;
    src = final.fetchCrate { inherit crate version sha256; };
  } // ((import ./layouts.nix).${package} or (_: _: { })) upstream old);
}
