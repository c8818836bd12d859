# Pure functions that the package set is made with. Nothing here knows a package or a compiler.
let
  inherit (builtins) elem foldl' functionArgs intersectAttrs isFunction;
in
rec {
  # The fixed point of a function from a set to itself, and one more layer upon such a function.
  fix = f: let x = f x; in x;
  extends = overlay: f: final:
    let prev = f final;
    in prev // overlay final prev;

  # An overlay may be given as a function or as the path of a file that holds one.
  overlayOf = o: if isFunction o then o else import o;

  # Call `f` so that its result can be called again with other arguments (`override`), or with its
  # derivation's attributes changed (`overrideAttrs`, in whatever order the two are used).
  makeOverridable = f: args:
    let
      result = f args;
      again = changes: makeOverridable f (args // (if isFunction changes then changes args else changes));
      attrs = change: makeOverridable (a: (f a).overrideAttrs change) args;
    in
    result
    // { override = again; }
    // (if result ? overrideAttrs then { overrideAttrs = attrs; } else { });

  # Call the function in a file (or a function) with the arguments that it names, taken from `scope`.
  callPackageWith = scope: file: extra:
    let f = if isFunction file then file else import file;
    in makeOverridable f (intersectAttrs (functionArgs f) scope // extra);

  optionalAttrs = yes: set: if yes then set else { };

  # All that a list of libraries needs to be compiled and linked against: they and what they propagate.
  # Told apart by name, so that no store path has to be computed here; the first of a name wins.
  libraryClosure = inputs:
    let
      visit = seen: drv:
        if elem drv.name (map (d: d.name) seen) then seen
        else foldl' visit (seen ++ [ drv ]) (drv.propagatedBuildInputs or [ ]);
    in
    foldl' visit [ ] inputs;

  # The output of a package that holds its headers, its libraries, its documents.
  outputOf = wanted: drv: drv.${wanted} or drv.out or drv;
}
