//! Lifting is exact or refused: what evaluation saw of a path is a hole again, or an error that
//! names the derivation. Evaluated without a store.

use std::path::Path;
use std::sync::Arc;

use floe_engine::alias::Aliases;
use floe_engine::import::{ImportError, Imported, Seen, Wanted, import};
use floe_engine::recipe::{Piece, Template};
use floe_lang::os_host::OsHost;
use floe_lang::{Evaluator, Settings};

/// `d` with `x = TEXT`, where TEXT may use the derivation `a`.
fn lift(text: &str) -> Result<Imported, ImportError> {
    let program = format!(
        "let make = name: more: derivation ({{ inherit name; system = \"s\"; builder = \"/b\"; }} // more); \
         a = make \"a\" {{}}; in make \"d\" {{ x = {text}; }}"
    );
    let mut evaluator = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let value = evaluator.eval_expr(&program, Path::new("/")).expect("it evaluates");
    let wanted = evaluator.derivations(value, &[], Path::new("/")).expect("it is a derivation");
    let wanted: Vec<Wanted> = wanted
        .iter()
        .map(|wanted| Wanted {
            attr: wanted.attr_path.clone(),
            drv: wanted.drv,
            outputs: vec![floe_core::path::OutputName::out()],
        })
        .collect();
    import(&evaluator.finish(), &wanted, &Seen::All, &Aliases::default())
}

/// The attribute `x` of the lifted `d`, with `<a>` for the path of `a`; or why it was refused.
fn check(text: &str, expect: &str) {
    let shown = match lift(text) {
        Ok(imported) => {
            let target = imported.graph.targets[0].node;
            let text = imported.graph.node(target).recipe.text();
            show(text.attribute(b"x").expect("it has an x"))
        }
        Err(ImportError::Discarded { user, observed }) => format!("{user} discarded {observed}"),
        Err(ImportError::Cut { user, observed }) => format!("{user} cut {observed}"),
        Err(ImportError::Hashed { observed }) => format!("hashed {observed}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expect, "{text}");
}

fn show(template: &Template) -> String {
    let pieces = template.0.iter().map(|piece| match piece {
        Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Piece::Input { .. } => "<a>".to_owned(),
        other => format!("{other:?}"),
    });
    pieces.collect()
}

#[test]
fn what_was_not_observed_is_a_hole() {
    check("a", "<a>");
    check("\"${a}/bin:${a}/lib\"", "<a>/bin:<a>/lib");
}

#[test]
fn whole_paths_are_found_again() {
    check("if a.outPath == \"\" then a else \"${a}/x\"", "<a>/x");
    check("builtins.substring 0 1000 \"${a}/bin\"", "<a>/bin");
    check("builtins.replaceStrings [ \"!\" ] [ a.outPath ] \"-!-!\"", "-<a>-<a>");
    check("builtins.toJSON { y = a; }", "{\"y\":\"<a>\"}");
}

#[test]
fn what_cannot_be_exact_is_refused() {
    check("builtins.unsafeDiscardStringContext a.outPath", "d discarded a");
    check("builtins.substring 11 32 a.outPath", "d cut a");
    check("builtins.substring 11 12 \"${a}\"", "d cut a");
    check("builtins.hashString \"sha256\" a.outPath", "hashed a");
    check(
        "builtins.hashString \"sha256\" (builtins.unsafeDiscardStringContext \"${a}/x\")",
        "hashed a",
    );
    check("builtins.toFile \"t\" (builtins.unsafeDiscardStringContext \"${a}\")", "t discarded a");
}

#[test]
fn what_shows_no_path_stands() {
    check("builtins.toString (builtins.stringLength \"${a}\")", "45");
    check("builtins.substring 0 11 \"${a}\"", "/nix/store/");
    check("builtins.hashString \"sha256\" \"\"", EMPTY);
}

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
