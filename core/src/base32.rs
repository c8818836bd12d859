//! Nix's base 32: its own alphabet (no e, o, t, u) and its own order, last bits first.
//! Only the bare codec: what the decoded bytes mean is the callers' affair.

/// The 32 digits in ascending order, which is also their order in ASCII, so texts of equal
/// length compare like the numbers they write.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

const INVALID: u8 = 0xff;

/// The value of each byte as a digit, or 255.
const VALUES: [u8; 256] = {
    let mut values = [INVALID; 256];
    let mut digit = 0;
    while digit < 32 {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// Why a text is no base-32 number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Base32Error {
    /// A byte outside the alphabet.
    #[error(
        "'{}' at position {position} is not a digit of Nix's base 32 (0-9, a-z without e, o, t, u)",
        byte.escape_ascii()
    )]
    Digit {
        /// The byte found.
        byte: u8,
        /// Its place in the text.
        position: usize,
    },
    /// The text has more bits than whole bytes, and the surplus is not zero.
    #[error("the first digit of the base-32 text '{text}' has bits beyond the last byte")]
    Surplus {
        /// The whole text.
        text: String,
    },
}

/// True for a byte of the alphabet.
#[inline]
pub const fn is_digit(byte: u8) -> bool {
    VALUES[byte as usize] != INVALID
}

/// How many digits write `size` bytes.
pub const fn encoded_len(size: usize) -> usize {
    (size * 8).div_ceil(5)
}

/// Writes the digits of `bytes` at the end of `text`.
pub fn encode_into(bytes: &[u8], text: &mut String) {
    let len = encoded_len(bytes.len());
    text.reserve(len);
    for digit in (0..len).rev() {
        let (byte, bit) = (digit * 5 / 8, digit * 5 % 8);
        let low = u16::from(bytes[byte]);
        let high = bytes.get(byte + 1).map_or(0, |&next| u16::from(next) << 8);
        text.push(char::from(ALPHABET[usize::from((low | high) >> bit & 31)]));
    }
}

/// The digits of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    encode_into(bytes, &mut text);
    text
}

/// The bytes that `text` writes; exactly the inverse of [`encode`].
pub fn decode(text: &str) -> Result<Vec<u8>, Base32Error> {
    let size = text.len() * 5 / 8;
    let mut bytes = vec![0u8; size];
    for (digit, (position, byte)) in text.bytes().enumerate().rev().enumerate() {
        let value = VALUES[usize::from(byte)];
        if value == INVALID {
            return Err(Base32Error::Digit { byte, position });
        }
        let (at, bit) = (digit * 5 / 8, digit * 5 % 8);
        let wide = u16::from(value) << bit;
        let [low, high] = wide.to_le_bytes();
        for (place, part) in [(at, low), (at + 1, high)] {
            match bytes.get_mut(place) {
                Some(slot) => *slot |= part,
                None if part == 0 => {}
                None => {
                    return Err(Base32Error::Surplus { text: text.to_owned() });
                }
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // nix-hash --type sha1 --to-base32 of SHA-1("abc")
        let sha1 = [
            0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
            0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d,
        ];
        assert_eq!(encode(&sha1), "kpcd173cq987hw957sx6m0868wv3x6d9");
        assert_eq!(encode(b""), "");
        assert_eq!(decode("").unwrap(), b"");
    }

    #[test]
    fn refuses_other_letters() {
        for bad in ["e", "o", "t", "u", "A", "-", "kpcd173cq987hw957sx6m0868wv3x6d/"] {
            assert!(matches!(decode(bad), Err(Base32Error::Digit { .. })), "{bad}");
        }
        // 52 digits have 260 bits: the four above 256 must be zero.
        let surplus = "2".to_owned() + &"0".repeat(51);
        assert!(matches!(decode(&surplus), Err(Base32Error::Surplus { .. })));
    }

    proptest! {
        #[test]
        fn round_trip(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), encoded_len(bytes.len()));
            prop_assert_eq!(decode(&text).unwrap(), bytes);
        }

        #[test]
        fn decode_never_panics(text in "\\PC{0,70}") {
            let _ = decode(&text);
        }
    }
}
