//! What TOML 1.1 added: the library reads it, C++ Nix's reads 1.0. Nothing is parsed here: the text is known
//! to be TOML.

/// What of a text is not TOML 1.0, if anything is. Times without seconds are left to those who take times.
pub fn beyond_first(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let mut open: Vec<u8> = Vec::new();
    let mut last = b'\n';
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let inline = open.last() == Some(&b'{');
        match byte {
            b'#' if inline => return Some("a comment in an inline table"),
            b'\n' if inline => return Some("a line end in an inline table"),
            b'}' if last == b',' => return Some("a comma at the end of an inline table"),
            b'#' => {
                at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
                continue;
            }
            b'"' | b'\'' => {
                let end = string_end(bytes, at);
                if byte == b'"' && has_new_escape(&bytes[at..end]) {
                    return Some("the escape \\e or \\x");
                }
                last = byte;
                at = end;
                continue;
            }
            b'[' | b'{' => open.push(byte),
            b']' | b'}' => drop(open.pop()),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        at += 1;
    }
    None
}

/// The offset behind a string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let many = bytes[start..].starts_with(&[quote; 3]);
    let close = if many { 3 } else { 1 };
    let mut at = start + close;
    while at < bytes.len() {
        if bytes[at] == b'\\' && quote == b'"' {
            at += 2;
        } else if bytes[at..].starts_with(&[quote; 3][..close]) {
            at += close;
            // Quotes before the closing ones belong to the string.
            while many && bytes.get(at) == Some(&quote) {
                at += 1;
            }
            return at;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn has_new_escape(string: &[u8]) -> bool {
    let mut bytes = string.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && matches!(bytes.next(), Some(b'e' | b'x')) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_are_told_from_what_looks_like_them() {
        for text in [
            "a = \"\\\\e\" # {\n",
            "a = '\\x41'\nb = { c = [\n1, # d\n], d = '''\n''' }",
            "a = \"\"\"x,\n}\"\"\"\"\"\nb = 1",
            "[\"a,}\"]\n[[b]]\nc = [1,]",
        ] {
            assert!(text.parse::<toml::Table>().is_ok(), "{text}");
            assert_eq!(beyond_first(text), None, "{text}");
        }
        for text in [
            "a = \"\\e\"",
            "a = \"\"\"\\x41\"\"\"",
            "a = { b = 1, }",
            "a = { b = 1,\n c = 2 }",
            "a = [{ b = 1 # c\n }]",
            "\"\\x41\" = 1",
        ] {
            assert!(text.parse::<toml::Table>().is_ok(), "{text}");
            assert!(beyond_first(text).is_some(), "{text}");
        }
    }
}
