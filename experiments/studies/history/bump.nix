# One package of the set made from another published version of its source, as an overlay; all that uses it uses this one.
{ package, crate, version, sha256, upstream }:
final: prev: {
  ${package} = prev.${package}.overrideAttrs (old: {
    version = upstream;
    src = final.fetchCrate { inherit crate version sha256; };
  } // ((import ./layouts.nix).${package} or (_: _: { })) upstream old);
}
