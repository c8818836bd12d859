//! A drawing as SVG: no scripts, nothing from elsewhere; the colours are Okabe and Ito's, which
//! survive colour blindness, and shape and words say the same again. Where boxes stand is
//! `layout`'s affair.

use std::fmt::Write;

use super::layout::layout;
use super::{Class, Drawing, Line, Node};

/// Sizes, in pixels.
const BOX: (f64, f64) = (184.0, 44.0);
const GAP: (f64, f64) = (16.0, 36.0);
const MARGIN: f64 = 16.0;
const LEGEND_LINE: f64 = 22.0;

/// Between which columns the legend needs room, whatever is drawn.
const LEGEND_COLUMNS: (f64, f64) = (2.0, 4.0);

/// How many letters of a name and of words fit into a box.
const LETTERS: (usize, usize) = (24, 30);

/// The style sheet, for light and dark.
pub const STYLE: &str = "\
.paper{fill:#fff}text{font:13px system-ui,sans-serif;fill:#1a1a1a}.words{font-size:11px}\
.box{stroke:#1a1a1a;stroke-width:1}.edited .box{fill:#fff;stroke-dasharray:none;stroke-width:2}\
.built .box{fill:#e69f00}.same .box{fill:#f0e442}.cut .box{fill:#56b4e9}.given .box{fill:#009e73}\
.failed .box{fill:#d55e00;stroke-width:3}.other .box{fill:#ddd}\
.edge{fill:none;stroke:#999;stroke-width:1}.edge.cause{stroke:#1a1a1a;stroke-width:2}\
.edge.stopped{stroke:#0072b2;stroke-width:2;stroke-dasharray:6 4}\
@media(prefers-color-scheme:dark){.paper{fill:#16181c}text{fill:#eee}.node text{fill:#111}\
.edited text{fill:#eee}.edited .box{fill:#16181c;stroke:#eee}.box{stroke:#eee}\
.edge{stroke:#666}.edge.cause{stroke:#eee}.edge.stopped{stroke:#56b4e9}}";

/// A document of its own.
pub fn document(drawing: &Drawing) -> String {
    let picture = picture(drawing);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{picture}\n")
}

/// The picture as an element.
pub fn picture(drawing: &Drawing) -> String {
    let ends: Vec<(usize, usize)> = drawing.edges.iter().map(|&(from, to, _)| (from, to)).collect();
    let places = layout(drawing.nodes.len(), &ends);
    let left = places.iter().map(|place| place.column).fold(LEGEND_COLUMNS.0, f64::min);
    let right = places.iter().map(|place| place.column + 1.0).fold(LEGEND_COLUMNS.1, f64::max);
    let corner = |at: usize| {
        let place = places[at];
        let x = MARGIN + (place.column - left) * (BOX.0 + GAP.0);
        (x, MARGIN + place.row as f64 * (BOX.1 + GAP.1))
    };
    let rows = places.iter().map(|place| place.row + 1).max().unwrap_or(0) as f64;
    let width = 2.0 * MARGIN + (right - left) * (BOX.0 + GAP.0) - GAP.0;
    let graph_height = MARGIN + rows * (BOX.1 + GAP.1);
    let classes: Vec<Class> = Class::ALL
        .into_iter()
        .filter(|class| drawing.nodes.iter().any(|node| node.class == *class))
        .collect();
    let height = graph_height + LEGEND_LINE * (classes.len() as f64 + 2.0) + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"title description\" \
         width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title id=\"title\">{}</title>\n\
         <desc id=\"description\">{}</desc>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        escaped(&drawing.title),
        escaped(&drawing.description),
    );
    for &(from, to, line) in &drawing.edges {
        edge(&mut out, corner(from), corner(to), line);
    }
    for (at, node) in drawing.nodes.iter().enumerate() {
        self::node(&mut out, corner(at), node);
    }
    legend(&mut out, graph_height, &classes);
    out + "</svg>"
}

fn edge(out: &mut String, from: (f64, f64), to: (f64, f64), line: Line) {
    let (x, y) = (from.0 + BOX.0 / 2.0, from.1 + BOX.1);
    let (u, v) = (to.0 + BOX.0 / 2.0, to.1);
    let bend = GAP.1.max((v - y) / 3.0);
    let class = match line {
        Line::Cause => "edge cause",
        Line::Stopped => "edge stopped",
        Line::Use => "edge",
    };
    let (down, up) = ((y + bend).round(), (v - bend).round());
    let _ = writeln!(out, "<path class=\"{class}\" d=\"M{x} {y}C{x} {down} {u} {up} {u} {v}\"/>");
}

fn node(out: &mut String, (x, y): (f64, f64), node: &Node) {
    let (name, title) = (node.class.name(), escaped(&node.title));
    let _ = write!(
        out,
        "<g class=\"node {name}\" transform=\"translate({x} {y})\"><title>{title}</title>"
    );
    shape(out, node.class, BOX);
    let (middle, label) = (BOX.0 / 2.0, escaped(&cut(&node.label, LETTERS.0)));
    let words = escaped(&cut(&node.words, LETTERS.1));
    let _ = writeln!(
        out,
        "<text x=\"{middle}\" y=\"19\" text-anchor=\"middle\">{label}</text>\
         <text class=\"words\" x=\"{middle}\" y=\"35\" text-anchor=\"middle\">{words}</text></g>"
    );
}

/// A shape for each class: a sheet, a rectangle, a rounded one, an octagon.
fn shape(out: &mut String, class: Class, (w, h): (f64, f64)) {
    let corner = (h / 3.0).min(12.0);
    let path = match class {
        Class::Edited => format!("M0 0H{}L{w} {corner}V{h}H0Z", w - corner),
        Class::Failed => format!(
            "M{corner} 0H{}L{w} {corner}V{}L{} {h}H{corner}L0 {}V{corner}Z",
            w - corner,
            h - corner,
            w - corner,
            h - corner
        ),
        _ => {
            let radius = match class {
                Class::Cutoff => h / 2.0,
                Class::BuiltSame => corner,
                _ => 0.0,
            };
            let _ =
                write!(out, "<rect class=\"box\" width=\"{w}\" height=\"{h}\" rx=\"{radius}\"/>");
            return;
        }
    };
    let _ = write!(out, "<path class=\"box\" d=\"{path}\"/>");
}

fn legend(out: &mut String, top: f64, classes: &[Class]) {
    let mut y = top + LEGEND_LINE / 2.0;
    let words = y + 13.0;
    for class in classes {
        let (name, legend) = (class.name(), class.legend());
        let _ = write!(out, "<g class=\"{name}\" transform=\"translate({MARGIN} {y})\">");
        shape(out, *class, (34.0, 16.0));
        let _ = writeln!(out, "<text class=\"words\" x=\"44\" y=\"13\">{legend}</text></g>");
        y += LEGEND_LINE;
    }
    let after = words + LEGEND_LINE * classes.len() as f64;
    for (nth, (class, said)) in [
        ("cause", "the change went this way"),
        ("stopped", "it stopped here: the input came out as before"),
    ]
    .into_iter()
    .enumerate()
    {
        let y = after + LEGEND_LINE * nth as f64;
        let line = y - 5.0;
        let (left, right, text) = (MARGIN, MARGIN + 34.0, MARGIN + 44.0);
        let _ = writeln!(
            out,
            "<path class=\"edge {class}\" d=\"M{left} {line}H{right}\"/>\
             <text class=\"words\" x=\"{text}\" y=\"{y}\">{said}</text>"
        );
    }
}

/// A text's first letters.
fn cut(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A text as it may stand in XML; what XML cannot hold is marked.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(letter),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(labels: &[(&str, Class)]) -> Drawing {
        let node = |(label, class): &(&str, Class)| Node {
            label: (*label).to_owned(),
            words: "built".to_owned(),
            title: format!("{label}: \u{1b}[31m <told>"),
            class: *class,
        };
        Drawing {
            title: "What & why".to_owned(),
            description: String::new(),
            nodes: labels.iter().map(node).collect(),
            edges: (1..labels.len()).map(|to| (to - 1, to, Line::Cause)).collect(),
        }
    }

    #[test]
    fn what_others_named_is_only_text() {
        let text = document(&drawing(&[("<script>&\"", Class::Built), ("ü", Class::Cutoff)]));
        assert!(text.contains("&lt;script&gt;&amp;&quot;"), "{text}");
        assert!(!text.contains("<script") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("<title id=\"title\">What &amp; why</title>"), "{text}");
    }

    #[test]
    fn every_class_has_a_colour_a_shape_and_words() {
        let all: Vec<(&str, Class)> = Class::ALL.map(|class| ("x", class)).into();
        let text = document(&drawing(&all));
        for class in Class::ALL {
            assert!(STYLE.contains(&format!(".{} .box", class.name())), "{}", class.name());
            assert!(text.contains(class.legend()), "{}", class.legend());
        }
    }
}
