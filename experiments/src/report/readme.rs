//! Headline figures in a README: what stands between `<!-- NAME -->` and `<!-- /NAME -->` is a study's, not a writer's.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::Chapter;

/// The README with the headlines of all chapters put in.
///
/// # Errors
/// A place names a headline that no study gives, or is not closed.
pub fn insert(text: &str, chapters: &[Chapter]) -> Result<String> {
    let mut headlines = BTreeMap::new();
    for chapter in chapters {
        for (name, said) in &chapter.section.headlines {
            headlines.insert(format!("{}:{name}", chapter.description.name), said.as_str());
        }
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- study ") {
        let Some((name, inner)) = after.split_once(" -->") else {
            bail!("a place for a headline is not closed")
        };
        let end = format!("<!-- /study {name} -->");
        let Some((_, tail)) = inner.split_once(&end) else {
            bail!("there is no '{end}' in the README")
        };
        let Some(said) = headlines.get(name) else {
            let known: Vec<&str> = headlines.keys().map(String::as_str).collect();
            bail!(
                "the README wants the headline '{name}', and the results give {}",
                known.join(", ")
            );
        };
        let said = said.trim();
        let break_ = if said.contains('\n') { "\n" } else { "" };
        out.push_str(&format!("{before}<!-- study {name} -->{break_}{said}{break_}{end}"));
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
