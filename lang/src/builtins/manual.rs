//! What the manual says of each builtin: its arguments and a paragraph. Text only; that every
//! builtin has a page, and every page a builtin, is tested here.

/// A page of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The name in `builtins`.
    pub name: &'static str,
    /// What the arguments are called; none for a constant.
    pub arguments: &'static [&'static str],
    /// A paragraph.
    pub text: &'static str,
}

const fn page(name: &'static str, arguments: &'static [&'static str], text: &'static str) -> Page {
    Page { name, arguments, text }
}

/// The page of a builtin.
pub fn look_up(name: &str) -> Option<&'static Page> {
    PAGES.binary_search_by_key(&name, |page| page.name).ok().map(|at| &PAGES[at])
}

/// All pages, sorted by name.
pub const PAGES: &[Page] = &[
    page(
        "abort",
        &["message"],
        "Ends evaluation with the message. Nothing catches it, not even `tryEval`; for a failure that may be caught there is `throw`.",
    ),
    page(
        "add",
        &["a", "b"],
        "The sum of two numbers: an integer if both are integers, else a float. Integers that leave 64 bits are an error.",
    ),
    page(
        "addDrvOutputDependencies",
        &["string"],
        "Lets a string whose context is one `.drv` file depend on the derivation's outputs as well, as the `drvPath` of a derivation does. The opposite of `unsafeDiscardOutputDependency`.",
    ),
    page(
        "addErrorContext",
        &["message", "value"],
        "Returns the value. If computing it fails, the message is added to the steps that the error shows, even in a short trace.",
    ),
    page(
        "all",
        &["predicate", "list"],
        "Whether the predicate holds for every element of the list. It is asked until one does not.",
    ),
    page(
        "any",
        &["predicate", "list"],
        "Whether the predicate holds for some element of the list. It is asked until one does.",
    ),
    page(
        "appendContext",
        &["string", "context"],
        "Adds to what a string depends on. The context is a set as `getContext` gives: for each store path whether the path itself is needed (`path`), all outputs of a derivation (`allOutputs`), or some (`outputs`).",
    ),
    page("attrNames", &["set"], "The names of the attributes of a set, sorted."),
    page(
        "attrValues",
        &["set"],
        "The values of the attributes of a set, in the order of their names.",
    ),
    page(
        "baseNameOf",
        &["path"],
        "The last component of a path or string: what stands behind the last slash. One slash at the end does not count. The result depends on what the string depends on.",
    ),
    page("bitAnd", &["a", "b"], "The bits that both integers have."),
    page("bitOr", &["a", "b"], "The bits that at least one of the integers has."),
    page("bitXor", &["a", "b"], "The bits that exactly one of the integers has."),
    page(
        "break",
        &["value"],
        "Returns the value. In C++ Nix a debugger stops here; floe has none.",
    ),
    page(
        "builtins",
        &[],
        "All builtins, itself among them. A test such as `builtins ? getFlake` tells whether an evaluator knows one.",
    ),
    page(
        "catAttrs",
        &["name", "list"],
        "The values of the attribute of that name in the sets of the list, leaving out sets that have none.",
    ),
    page("ceil", &["number"], "The least integer that is not less than the number."),
    page(
        "compareVersions",
        &["a", "b"],
        "Compares two versions: -1 if the first is older, 0 if they are equal, 1 if it is newer. Versions are compared component by component as `splitVersion` finds them; `pre` is older than the empty component, which is older than anything else.",
    ),
    page("concatLists", &["lists"], "One list of the elements of all lists of a list, in order."),
    page(
        "concatMap",
        &["function", "list"],
        "Applies the function, which gives lists, to every element and joins the results: `concatLists (map function list)`, in one step.",
    ),
    page(
        "concatStringsSep",
        &["separator", "list"],
        "Joins the strings of a list, with the separator between them.",
    ),
    page(
        "convertHash",
        &["arguments"],
        "Writes a hash in another form. The set has `hash`, `toHashFormat` (`base16`, `base32`, `base64`, `sri`) and, unless the hash names it, `hashAlgo`.",
    ),
    page(
        "currentSystem",
        &[],
        "The platform that builds run on, such as `x86_64-linux`. Missing in pure evaluation.",
    ),
    page(
        "currentTime",
        &[],
        "The time at which the evaluation began, in seconds since 1970. Missing in pure evaluation.",
    ),
    page(
        "deepSeq",
        &["first", "value"],
        "Computes the first argument with everything in it, then returns the second. Values that are parts of themselves are no problem, infinite ones are.",
    ),
    page(
        "derivation",
        &["attributes"],
        "Makes a derivation: something to be built. Needed are `name`, `system` and `builder`; `args` are the builder's arguments, `outputs` its outputs (`[ \"out\" ]` if missing), and all other attributes become variables of its environment. The result is the set of attributes with `drvPath`, `outPath`, an attribute for each output, and `type = \"derivation\"`.",
    ),
    page(
        "derivationStrict",
        &["attributes"],
        "What `derivation` is made of: it computes all attributes at once and returns the paths alone, `drvPath` and one for each output. Not meant to be called by programs.",
    ),
    page(
        "dirOf",
        &["path"],
        "What stands before the last slash of a path or string: its folder. A path gives a path, a string a string.",
    ),
    page(
        "div",
        &["a", "b"],
        "The quotient of two numbers; of two integers it is rounded towards zero. Dividing by zero is an error.",
    ),
    page("elem", &["value", "list"], "Whether some element of the list equals the value."),
    page(
        "elemAt",
        &["list", "index"],
        "The element at an index, counted from 0. An index outside of the list is an error.",
    ),
    page("false", &[], "The Boolean that does not hold."),
    page(
        "fetchGit",
        &["arguments"],
        "Fetches a Git tree while evaluating and returns a set with its `outPath`, `rev`, `shortRev`, `lastModified`, `narHash` and more. The argument is a URL or a path, or a set with `url` and any of `ref`, `rev`, `submodules`, `shallow`, `allRefs`, `name`. A local repository without `rev` and `ref` is taken as its files lie, those that Git tracks.",
    ),
    page(
        "fetchMercurial",
        &["arguments"],
        "Fetches a Mercurial tree while evaluating. floe knows no Mercurial and says so.",
    ),
    page(
        "fetchTarball",
        &["arguments"],
        "Fetches an archive while evaluating, unpacks it and returns the path of the tree. The argument is a URL, or a set with `url` and, best, `sha256` of the unpacked tree; without a hash the archive is fetched again when its time is up (the setting `tarball-ttl`).",
    ),
    page(
        "fetchTree",
        &["input"],
        "Fetches a tree while evaluating and returns a set with its `outPath` and what is known of it. The input is a set with `type` (`path`, `file`, `tarball`, `git`, `github`, `gitlab`, `sourcehut`) and what that type needs, or a URL of the same meaning.",
    ),
    page(
        "fetchurl",
        &["arguments"],
        "Fetches a file while evaluating and returns its path in the store. The argument is a URL, or a set with `url` and, best, `sha256`. For a file that builds need, a fixed-output derivation is better: it is fetched when it is needed.",
    ),
    page("filter", &["predicate", "list"], "The elements for which the predicate holds, in order."),
    page(
        "filterSource",
        &["predicate", "path"],
        "Copies a tree to the store without the entries for which the predicate does not hold. It is called with each entry's path and its type: `regular`, `directory`, `symlink` or `unknown`. `path` does the same and more.",
    ),
    page(
        "findFile",
        &["search-path", "name"],
        "Looks a name such as `nixpkgs/lib` up in a search path: a list of sets with `path` and `prefix`. `<nixpkgs/lib>` means `findFile builtins.nixPath \"nixpkgs/lib\"`.",
    ),
    page(
        "flakeRefToString",
        &["attributes"],
        "Writes a flake reference that is given as a set in the form of a URL.",
    ),
    page("floor", &["number"], "The greatest integer that is not greater than the number."),
    page(
        "foldl'",
        &["function", "start", "list"],
        "Combines the elements of a list from the left: `function (function start first) second` and so on. Each step is computed before the next, so long lists need no deep stack.",
    ),
    page(
        "fromJSON",
        &["string"],
        "The value that a JSON text means. Objects become sets, arrays lists.",
    ),
    page("fromTOML", &["string"], "The value that a TOML text means."),
    page(
        "functionArgs",
        &["function"],
        "For a function with a set pattern: a set of its argument names, each true where the argument has a default. For other functions the empty set.",
    ),
    page(
        "genList",
        &["function", "length"],
        "A list of a length whose elements are the function's results for 0, 1, 2 and so on.",
    ),
    page(
        "genericClosure",
        &["arguments"],
        "Everything that can be reached from `startSet`, a list of sets with a `key`, by `operator`, which gives for a set the list of its neighbours. Each key comes once, the earliest found first.",
    ),
    page("getAttr", &["name", "set"], "The attribute of that name; `set.${name}`."),
    page(
        "getContext",
        &["string"],
        "What a string depends on: a set with an attribute for each store path that says whether the path itself is needed (`path`), all outputs of a derivation (`allOutputs`), or some of them (`outputs`).",
    ),
    page(
        "getEnv",
        &["name"],
        "The value of an environment variable; the empty string if it is not set, or in pure evaluation. A result that hangs on the environment is not the same everywhere.",
    ),
    page(
        "getFlake",
        &["reference"],
        "The outputs of a flake, fetched from a reference that is locked in pure evaluation.",
    ),
    page(
        "groupBy",
        &["function", "list"],
        "Sorts the elements into lists by the string that the function gives for each: a set of these lists.",
    ),
    page(
        "hasAttr",
        &["name", "set"],
        "Whether a set has an attribute of that name; `set ? ${name}`.",
    ),
    page("hasContext", &["string"], "Whether a string depends on store paths or derivations."),
    page(
        "hashFile",
        &["type", "path"],
        "The hash of a file's content in base 16. The type is `md5`, `sha1`, `sha256`, `sha512` or `blake3`.",
    ),
    page(
        "hashString",
        &["type", "string"],
        "The hash of a string in base 16. The type is `md5`, `sha1`, `sha256`, `sha512` or `blake3`.",
    ),
    page("head", &["list"], "The first element. An empty list has none, which is an error."),
    page(
        "import",
        &["path"],
        "The value of the expression in a file; of a folder, in its `default.nix`. A file is read and evaluated once. The path may be one of a derivation's outputs, which is built first.",
    ),
    page(
        "intersectAttrs",
        &["a", "b"],
        "The attributes of the second set whose names are in the first as well.",
    ),
    page("isAttrs", &["value"], "Whether the value is a set."),
    page("isBool", &["value"], "Whether the value is a Boolean."),
    page("isFloat", &["value"], "Whether the value is a floating-point number."),
    page(
        "isFunction",
        &["value"],
        "Whether the value is a function or builtin. A set that can be called (with `__functor`) is a set.",
    ),
    page("isInt", &["value"], "Whether the value is an integer."),
    page("isList", &["value"], "Whether the value is a list."),
    page("isNull", &["value"], "Whether the value is null; `value == null`."),
    page(
        "isPath",
        &["value"],
        "Whether the value is a path. A string that looks like one is a string.",
    ),
    page("isString", &["value"], "Whether the value is a string."),
    page(
        "langVersion",
        &[],
        "The version of the language, an integer that grows with new features.",
    ),
    page("length", &["list"], "The number of elements."),
    page(
        "lessThan",
        &["a", "b"],
        "Whether the first is less than the second; `a < b`. Numbers, strings and paths can be compared, and lists of them, by their first difference.",
    ),
    page(
        "listToAttrs",
        &["list"],
        "A set with an attribute for each set of the list, which has `name` and `value`. Of several with one name the first counts.",
    ),
    page(
        "map",
        &["function", "list"],
        "The list of the function's results for each element. They are computed when they are needed.",
    ),
    page(
        "mapAttrs",
        &["function", "set"],
        "A set with the same names, whose values are the function's results for each name and value. They are computed when they are needed.",
    ),
    page(
        "match",
        &["regex", "string"],
        "Matches a whole string against a POSIX extended regular expression: null if it does not match, else a list with what each group matched, null for groups that took no part.",
    ),
    page(
        "mul",
        &["a", "b"],
        "The product of two numbers. Integers that leave 64 bits are an error.",
    ),
    page(
        "nixPath",
        &[],
        "The search path for `<name>`: a list of sets with `path` and `prefix`, from `-I` and NIX_PATH. Empty in pure evaluation.",
    ),
    page("nixVersion", &[], "The version of C++ Nix whose language this is."),
    page("null", &[], "The value that stands for none."),
    page(
        "outputOf",
        &["drv-path", "output"],
        "The output of a derivation that is given by the path of its file, or by the output that will be its file: its path where that is known, or a placeholder that a build replaces. `outputOf drv.outPath \"out\"` is the output `out` of the derivation that `drv` makes (a dynamic derivation).",
    ),
    page(
        "parseDrvName",
        &["string"],
        "Splits a name such as `zlib-1.3` into `name` and `version`. The version begins behind the first dash that no letter follows.",
    ),
    page("parseFlakeRef", &["string"], "The parts of a flake reference as a set."),
    page(
        "partition",
        &["predicate", "list"],
        "The elements for which the predicate holds, as `right`, and the others, as `wrong`.",
    ),
    page(
        "path",
        &["arguments"],
        "Copies a file or tree to the store. The set has `path`, and may have `name`, `filter` (as for `filterSource`), `recursive` (false: the hash is that of the file's bytes) and `sha256`, which the result must have.",
    ),
    page(
        "pathExists",
        &["path"],
        "Whether there is something at a path. With a slash at its end it must be a folder.",
    ),
    page(
        "placeholder",
        &["output"],
        "A string that stands for the path of a derivation's own output within its attributes; the builder sees the path.",
    ),
    page(
        "readDir",
        &["path"],
        "The entries of a folder: a set of their names and types, `regular`, `directory`, `symlink` or `unknown`.",
    ),
    page("readFile", &["path"], "The content of a file as a string. It must hold no zero bytes."),
    page(
        "readFileType",
        &["path"],
        "What kind of thing is at a path: `regular`, `directory`, `symlink` or `unknown`.",
    ),
    page(
        "removeAttrs",
        &["set", "names"],
        "The set without the attributes of these names. Names that it does not have are no error.",
    ),
    page(
        "replaceStrings",
        &["from", "to", "string"],
        "Replaces every occurrence of a string of the first list by the one at the same index of the second. At each place the first that matches counts.",
    ),
    page(
        "scopedImport",
        &["scope", "path"],
        "As `import`, with the attributes of a set as further variables of the file, which may hide builtins. Such a file is evaluated at each call.",
    ),
    page(
        "seq",
        &["first", "value"],
        "Computes the first argument, but not what is in it, then returns the second.",
    ),
    page(
        "sort",
        &["less", "list"],
        "Sorts a list by a function that says whether its first argument comes before its second. Elements of which neither comes first keep their order.",
    ),
    page(
        "split",
        &["regex", "string"],
        "Splits a string at the matches of a POSIX extended regular expression: a list of the strings between, and between them, for each match, a list of what its groups matched.",
    ),
    page(
        "splitVersion",
        &["string"],
        "The components of a version: runs of digits and runs of other characters, parted by dots and dashes.",
    ),
    page("storeDir", &[], "The folder of the store, `/nix/store`."),
    page(
        "storePath",
        &["path"],
        "Lets a string that names an existing store path depend on it, so that builds may use it without copying it again. Not allowed in pure evaluation.",
    ),
    page("stringLength", &["string"], "The number of bytes of a string."),
    page(
        "sub",
        &["a", "b"],
        "The difference of two numbers. Integers that leave 64 bits are an error.",
    ),
    page(
        "substring",
        &["start", "length", "string"],
        "The part of a string from a byte on, counted from 0, of at most so many bytes; with a negative length, to the end.",
    ),
    page(
        "tail",
        &["list"],
        "The list without its first element. An empty list is an error. Each call may copy the list, so loops over tails are slow in C++ Nix; in floe they share it.",
    ),
    page("throw", &["message"], "Ends evaluation with the message, unless `tryEval` catches it."),
    page(
        "toFile",
        &["name", "string"],
        "Writes a string to a file of that name in the store and returns its path. The string may refer to store paths but not to outputs of derivations, which are not built yet.",
    ),
    page(
        "toJSON",
        &["value"],
        "The value as JSON. Sets with `outPath` become that path, sets with `__toString` the string it gives; functions are an error.",
    ),
    page(
        "toPath",
        &["string"],
        "The absolute path that a string names, as a string. Not needed any more: `/. + string` gives a path.",
    ),
    page(
        "toString",
        &["value"],
        "The value as a string: paths and numbers as they are written, true as `1`, false and null as the empty string, lists with spaces between their elements, sets by `__toString` or `outPath`.",
    ),
    page(
        "toXML",
        &["value"],
        "The value as XML, with the derivations that it holds by their paths.",
    ),
    page(
        "trace",
        &["message", "value"],
        "Prints the message on standard error, then returns the value. For looking into an evaluation.",
    ),
    page(
        "traceVerbose",
        &["message", "value"],
        "As `trace` if the setting `trace-verbose` is on; else it only returns the value.",
    ),
    page("true", &[], "The Boolean that holds."),
    page(
        "tryEval",
        &["value"],
        "Computes a value and catches `throw` and failed assertions: a set with `success` and `value`, which is false where it failed. Parts of the value are not computed, so they may still throw later.",
    ),
    page(
        "typeOf",
        &["value"],
        "The name of a value's type: `int`, `bool`, `string`, `path`, `null`, `set`, `list`, `lambda` or `float`.",
    ),
    page(
        "unsafeDiscardOutputDependency",
        &["string"],
        "Lets a string that depends on a derivation's outputs depend on the `.drv` file only.",
    ),
    page(
        "unsafeDiscardStringContext",
        &["string"],
        "The same string, depending on nothing. Paths in it may not exist when a build reads them.",
    ),
    page(
        "unsafeGetAttrPos",
        &["name", "set"],
        "Where an attribute is defined: a set with `file`, `line` and `column`, or null where that is not known.",
    ),
    page(
        "warn",
        &["message", "value"],
        "Prints a warning on standard error, then returns the value. With the setting `abort-on-warn` it fails instead.",
    ),
    page(
        "zipAttrsWith",
        &["function", "list"],
        "Joins the sets of a list: each name gets the function's result for the name and the list of its values in all sets. It is computed when it is needed.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::machine::Machine;
    use crate::os_host::OsHost;
    use crate::settings::Settings;
    use crate::symbol::Symbol;
    use crate::value::{Attrs, Value};

    #[test]
    fn every_builtin_has_a_page_and_every_page_a_builtin() {
        assert!(PAGES.is_sorted_by(|a, b| a.name < b.name), "pages are sorted by name");
        let mut machine = Machine::new(std::sync::Arc::new(OsHost::quiet()), Settings::default());
        let all = machine.globals[&Symbol::intern("builtins")];
        let Value::Attrs(all) = all else { panic!("builtins is a set") };
        let builtins: BTreeSet<String> =
            Attrs::all(all, &mut machine.heap).iter().map(|attr| attr.name.to_string()).collect();
        let pages: BTreeSet<String> = PAGES.iter().map(|page| page.name.to_owned()).collect();
        let without: Vec<_> = builtins.difference(&pages).collect();
        let beyond: Vec<_> = pages.difference(&builtins).collect();
        assert!(
            without.is_empty() && beyond.is_empty(),
            "no page: {without:?}; no builtin: {beyond:?}"
        );
        let functions = super::super::table().iter();
        for prim in functions.filter(|prim| prim.name != super::super::control::CLOCK) {
            let page = look_up(prim.name).expect("it has a page");
            assert_eq!(page.arguments.len(), prim.arity, "{}", prim.name);
            assert!(page.text.ends_with('.'), "{}", prim.name);
        }
    }
}
