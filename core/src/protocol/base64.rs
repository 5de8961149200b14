//! Base64 (RFC 4648), to read what is in tokens and challenges.

use alloc::vec::Vec;

/// Decodes both alphabets (RFC 4648 sections 4 and 5), with padding or without.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_are_read_with_padding_and_without() {
        for (text, bytes) in [
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
            assert_eq!(decode(text.trim_end_matches('=')).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn the_last_two_letters_are_read_in_both_alphabets() {
        let all = [0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff];
        assert_eq!(decode("++++////").as_deref(), Some(&all[..]));
        assert_eq!(decode("----____").as_deref(), Some(&all[..]));
    }

    #[test]
    fn what_is_no_base64_says_nothing() {
        for text in ["", "=", "====", "Zg=g", "Zm9v Zm9v", "Zm9v.", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
