//! The report as one page that needs nothing else: no script, no other file, light or dark as the reader's screen is.

use std::fmt::Write;

use anyhow::Result;

use super::block::{Block, Figure, Ink, Table};
use super::{Chapter, markdown};

const STYLE: &str = include_str!("page.css");

/// The whole report.
///
/// # Errors
/// A figure cannot be drawn.
pub fn page(chapters: &[Chapter]) -> Result<String> {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>What a change really costs</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>What a change really costs</h1>\n"
    );
    out.push_str(&prose(markdown::PREFACE));
    out.push_str("<nav aria-label=\"Studies\">\n<ul>\n");
    for Chapter { description, .. } in chapters {
        let _ = writeln!(
            out,
            "<li><a href=\"#{}\">{}</a>: {}</li>",
            description.name,
            escape(&description.title),
            escape(&description.question)
        );
    }
    out.push_str("</ul>\n</nav>\n");
    for chapter in chapters {
        section(chapter, &mut out)?;
    }
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(out)
}

fn section(chapter: &Chapter, out: &mut String) -> Result<()> {
    let description = &chapter.description;
    let _ = write!(
        out,
        "<section id=\"{}\">\n<h2>{}</h2>\n<p class=\"question\">{}</p>\n",
        description.name,
        escape(&description.title),
        escape(&description.question)
    );
    if !chapter.section.findings.is_empty() {
        let list: Vec<String> =
            chapter.section.findings.iter().map(|finding| format!("- {finding}\n")).collect();
        let _ = write!(out, "<div class=\"findings\">\n{}</div>\n", prose(&list.concat()));
    }
    for block in &chapter.section.blocks {
        match block {
            Block::Heading(text) => {
                let _ = writeln!(out, "<h3>{}</h3>", escape(text));
            }
            Block::Text(text) => out.push_str(&prose(text)),
            Block::Table(of) => out.push_str(&table(of)),
            Block::Figure(of) => out.push_str(&figure(of)?),
        }
    }
    let _ = write!(
        out,
        "<div class=\"origin\">\n{}</div>\n</section>\n",
        prose(&markdown::origin(chapter))
    );
    Ok(())
}

fn figure(figure: &Figure) -> Result<String> {
    Ok(format!(
        "<figure>\n<div class=\"wide\">{}</div>\n<figcaption>{}</figcaption>\n\
         <details><summary>The figures in it</summary>\n{}</details>\n</figure>\n",
        figure.svg(Ink::Page)?,
        inline(&figure.caption),
        table(&figure.data())
    ))
}

fn table(table: &Table) -> String {
    let mut out = String::from("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    let _ = write!(
        out,
        "{}\">\n<table>\n",
        escape(if table.caption.is_empty() { "Table" } else { &table.caption })
    );
    if !table.caption.is_empty() {
        let _ = writeln!(out, "<caption>{}</caption>", inline(&table.caption));
    }
    out.push_str("<thead><tr>");
    for column in &table.columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", inline(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = match at {
                0 => write!(out, "<th scope=\"row\">{}</th>", inline(cell)),
                _ => write!(out, "<td>{}</td>", inline(cell)),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    out
}

/// Markdown as HTML.
fn prose(text: &str) -> String {
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, pulldown_cmark::Parser::new(text));
    out
}

/// Markdown of one line, without the paragraph around it.
fn inline(text: &str) -> String {
    let out = prose(text);
    let out = out.trim_end();
    out.strip_prefix("<p>").and_then(|out| out.strip_suffix("</p>")).unwrap_or(out).to_owned()
}

/// Text as HTML shows it.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
