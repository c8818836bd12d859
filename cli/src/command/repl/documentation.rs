//! `:doc`: what is known of a function, a builtin or an attribute, as a page of text.

use anyhow::{Result, bail};
use floe_lang::Documentation;
use floe_lang::manual;

use super::session::Session;

/// The page for a text: for a function or builtin what is known of it, for another attribute
/// where it is defined and what is said there.
pub fn documentation(session: &mut Session, text: &str) -> Result<String> {
    if text.is_empty() {
        bail!(":doc takes an expression, such as builtins.map");
    }
    let selected = selection(text);
    let constant = selected.filter(|(set, _)| *set == "builtins").map_or(text, |(_, name)| name);
    if let Some(page) = manual::look_up(constant).filter(|page| page.arguments.is_empty())
        && !session.names.contains_key(constant)
    {
        return Ok(format!("builtins.{}\n\n{}\n", page.name, page.text));
    }
    let attribute = match selected {
        Some((set, name)) => {
            let set = session.value(set)?;
            session.evaluation.attribute_documentation(set, name)?
        }
        None => None,
    };
    let value = session.value(text)?;
    match (session.evaluation.documentation(value)?, attribute) {
        // The attribute's comment is as good as the function's own.
        (Some(Documentation { text: None, name, builtin, arguments, place }), Some(attribute)) => {
            let text = attribute.text;
            Ok(page(&Documentation { text, name, builtin, arguments, place }))
        }
        (Some(known), _) | (None, Some(known)) => Ok(page(&known)),
        (None, None) => {
            let what = session.evaluation.describe(value)?;
            bail!("'{text}' is {what}, of which nothing is known but its value")
        }
    }
}

/// The set and the name of a selection at the end of a text.
fn selection(text: &str) -> Option<(&str, &str)> {
    let (set, name) = text.rsplit_once('.')?;
    let plain = floe_lang::syntax::print::is_identifier(name.as_bytes());
    (plain && !set.is_empty()).then_some((set, name))
}

fn page(known: &Documentation) -> String {
    let name = known.name.as_deref().unwrap_or("(anonymous)");
    let mut text = match (known.builtin, known.arguments.is_empty()) {
        (true, _) => format!("builtins.{name} {}\n", known.arguments.join(" ")),
        (false, true) => format!("attribute {name}\n"),
        (false, false) => format!("function {name} = {}: …\n", known.arguments.join(": ")),
    };
    if let Some(pos) = &known.place {
        text += &format!("  defined at {}:{}:{}\n", pos.file.display(), pos.line, pos.column);
    }
    let said = known.text.as_deref().unwrap_or("Its author says nothing about it.");
    text + "\n" + said + "\n"
}
