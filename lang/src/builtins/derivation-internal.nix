# `derivation`: one set for each output, lazily, over what `derivationStrict` computes.
#
# Errors show lines of this file. Tools and people know those that C++ Nix shows, so here the same
# lines say the same, at the same numbers:
#
#   the call of `derivationStrict`, and the two paths of an output.
#
# The rest of the file is free. What the sets hold:
#
#   all         the sets of all outputs, in order
#   drvAttrs    the argument
#   drvPath     the derivation's file, with all that it needs
#   outPath     the output that this set is about
#   outputName  its name
#   type        "derivation"
#
# and a set for each output under the output's name.
#
# Laziness matters: nothing is computed before one of the paths is needed, and
# `derivationStrict` runs once for all outputs. The argument's attributes are there too,
# so that an expression can look at what another one gave to `derivation`;
# those listed above win.
#
# The first output named in `outputs` is the one that `derivation` returns.
#
# Changing what is hashed here changes every derivation path: there is a test
# for that, with paths that C++ Nix computed.
#
#
#
drvAttrs@{
  outputs ? [ "out" ],
  ...
}:
let

  strict = derivationStrict drvAttrs;

  commonAttrs =
    drvAttrs
    // builtins.listToAttrs sets
    // {
      all = map (output: output.value) sets;
      inherit drvAttrs;
    };

  of = outputName: {
    name = outputName;
    value = commonAttrs // {
      outPath = builtins.getAttr outputName strict;
      drvPath = strict.drvPath;
      type = "derivation";
      inherit outputName;
    };
  };

  sets = map of outputs;
in
(builtins.head sets).value
