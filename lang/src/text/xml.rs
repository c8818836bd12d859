//! XML's escapes, as `builtins.toXML` writes them. No document structure.

/// Writes the value of an attribute, without the quotes around it.
pub fn attribute(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"&quot;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            // Parsers turn a raw line end in an attribute into a space.
            b'\n' => out.extend_from_slice(b"&#xA;"),
            _ => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn special_bytes_are_escaped() {
        let mut out = Vec::new();
        super::attribute(&mut out, b"a\"<>&'\n\tb");
        assert_eq!(out, b"a&quot;&lt;&gt;&amp;'&#xA;\tb");
    }
}
