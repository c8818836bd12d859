//! Derivations as the installed Nix writes them: every one reads, writes and names itself as
//! there. Passes without a word where no `nix-instantiate` is installed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use floe_core::drv::{Derivation, Modulo, ModuloError, ModuloMemo, Output, hash_modulo};
use floe_core::path::StorePath;

const EXPRESSION: &str = r#"
let
  base = { system = "x86_64-linux"; builder = "/bin/sh"; };
  drv = attrs: derivation (base // attrs);
  ca = attrs: drv ({ __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; } // attrs);
  fixed = attrs: drv ({ outputHashAlgo = "sha256"; outputHash = "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="; } // attrs);
in rec {
  plain = drv { name = "plain"; };
  escapes = drv { name = "escapes"; args = [ "-c" "tab\there \"quoted\" back\\slash\r\nline \${x}" ]; x = "\t\t\n\n\"\""; };
  many = drv { name = "many"; outputs = [ "out" "dev" "lib" "a.b" ]; };
  text = drv { name = "text"; src = builtins.toFile "x" "see ${builtins.toFile "y" "y"}"; };
  user = drv { name = "user"; a = plain; b = many.dev; c = many.lib; d = escapes.drvPath; };
  flat = fixed { name = "flat"; };
  tree = fixed { name = "tree"; outputHashMode = "recursive"; };
  sha1 = fixed { name = "sha1"; outputHashAlgo = "sha1"; outputHash = "f572d396fae9206628714fb2ce00f72e94f2258f"; };
  mirror = fixed { name = "flat"; mirror = user; };
  overFixed = drv { name = "over-fixed"; inherit flat tree sha1; };
  overMirror = drv { name = "over-fixed"; flat = mirror; inherit tree sha1; };
  structured = drv { name = "structured"; __structuredAttrs = true; outputs = [ "out" "dev" ]; list = [ 1 "two" { three = [ plain ]; } ]; };
  floating = ca { name = "floating"; };
  floatingMany = ca { name = "floating-many"; outputs = [ "out" "dev" ]; self = builtins.placeholder "dev"; };
  floatingFlat = ca { name = "floating-flat"; outputHashMode = "flat"; outputHashAlgo = "sha512"; };
  deferred = drv { name = "deferred"; outputs = [ "out" "dev" ]; inherit floating; };
  deferredTwice = drv { name = "deferred-twice"; a = deferred.dev; b = floatingMany; };
  deep = builtins.foldl' (below: n: drv { name = "deep-${toString n}"; inherit below flat; }) plain (builtins.genList (n: n) 40);
}
"#;

/// Instantiates the expression into a store of its own; `None` without Nix.
fn instantiate(dir: &Path) -> Option<BTreeMap<StorePath, Vec<u8>>> {
    let output = Command::new("nix-instantiate")
        .args(["--option", "experimental-features", "nix-command ca-derivations"])
        .args(["--option", "build-users-group", "", "--store"])
        .arg(dir)
        .args(["-E", EXPRESSION])
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut texts = BTreeMap::new();
    for entry in std::fs::read_dir(dir.join("nix/store")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".drv") {
            let text = std::fs::read(entry.path()).unwrap();
            texts.insert(StorePath::from_base_name(&name).unwrap(), text);
        }
    }
    Some(texts)
}

fn parse(path: &StorePath, text: &[u8]) -> Derivation {
    Derivation::parse_aterm(path.name().strip_suffix(".drv").unwrap(), text).unwrap()
}

#[test]
fn derivations_are_those_of_nix() {
    let dir = tempfile::tempdir().unwrap();
    let Some(texts) = instantiate(dir.path()) else {
        return;
    };
    assert_eq!(texts.len(), 17 + 40);
    let mut memo = ModuloMemo::new();
    for (path, text) in &texts {
        let drv = parse(path, text);
        assert!(drv.to_aterm() == *text, "{path} is not written as it was read");
        assert_eq!(drv.drv_path().unwrap(), *path);

        let mut again = drv.clone();
        for (name, output) in &mut again.outputs {
            match output {
                Output::InputAddressed(_) => *output = Output::Deferred,
                Output::Fixed(_, ca) => {
                    *output = Output::fixed(&drv.name, name, *ca).unwrap();
                }
                _ => {}
            }
            again.env.remove(name.as_str().as_bytes());
        }
        let read = |path: &StorePath| Ok::<_, ModuloError>(parse(path, &texts[path]));
        again.fill_outputs(|input| hash_modulo(input, &mut memo, read)).unwrap();
        assert_eq!(again, drv, "{path}");
    }
    let deferred = memo.values().filter(|modulo| **modulo == Modulo::Deferred).count();
    assert!(deferred >= 2, "nothing deferred among {memo:?}");
}
