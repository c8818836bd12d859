//! A picture on a page of its own, with the explanation as text below it: one file, no scripts.

use floe_engine::explain::Explanation;

use super::Drawing;
use super::svg::{escaped, picture};

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;max-width:1300px}\
h1{font-size:1.3rem}figure{margin:0;overflow:auto}pre{white-space:pre-wrap;overflow-wrap:anywhere}";

/// The page; `text` is the whole explanation as text.
pub fn page(explanation: &Explanation<'_>, text: &str) -> String {
    let drawing = Drawing::of(explanation);
    let (title, description) = (escaped(&drawing.title), escaped(&drawing.description));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n<p>{description}</p>\n<figure>{}</figure>\n<h2>In words</h2>\n\
         <pre>{}</pre>\n</body>\n</html>\n",
        picture(&drawing),
        escaped(text)
    )
}
