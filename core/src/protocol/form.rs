//! `application/x-www-form-urlencoded`, as the WHATWG URL Standard writes it (section 5).

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

/// The pairs as one body. The buffer gets its final size at once, so that growing leaves no copy
/// of a secret behind.
pub(super) fn encode(pairs: &[(&str, &str)]) -> Secret {
    Secret::new(core::mem::take(&mut *body(pairs)))
}

fn body(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    // An equals sign and an ampersand each; the last pair's ampersand is not needed.
    let size = pairs.iter().map(|(name, value)| encoded_len(name) + encoded_len(value) + 2).sum();
    let mut out = Zeroizing::new(String::with_capacity(size));
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        push(&mut out, name);
        out.push('=');
        push(&mut out, value);
    }
    out
}

/// Two bodies as one.
pub(super) fn joined(one: &Secret, other: &Secret) -> Secret {
    let (one, other) = (one.expose(), other.expose());
    let mut out = Zeroizing::new(String::with_capacity(one.len() + 1 + other.len()));
    out.push_str(one);
    out.push('&');
    out.push_str(other);
    Secret::new(core::mem::take(&mut *out))
}

/// One name or value alone, as HTTP Basic wants it (RFC 6749 section 2.3.1).
pub(super) fn encode_one(text: &str) -> String {
    let mut out = String::with_capacity(encoded_len(text));
    push(&mut out, text);
    out
}

fn stays(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"*-._ ".contains(&byte)
}

fn encoded_len(text: &str) -> usize {
    text.bytes().map(|byte| if stays(byte) { 1 } else { 3 }).sum()
}

fn push(out: &mut String, text: &str) {
    const HEX: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if stays(byte) => out.push(char::from(byte)),
            byte => {
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
}

/// One name or value, decoded; `None` if it is not UTF-8 then.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(match byte {
            b'+' => b' ',
            b'%' => match after {
                [high, low, after @ ..]
                    if let (Some(high), Some(low)) = (hex(*high), hex(*low)) =>
                {
                    rest = after;
                    high << 4 | low
                }
                _ => byte,
            },
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|error| error.into_bytes().zeroize()).ok()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_is_written_as_browsers_write_it() {
        assert_eq!(encode_one("azAZ09*-._"), "azAZ09*-._");
        assert_eq!(encode_one("a b+c&d=e%~/é"), "a+b%2Bc%26d%3De%25%7E%2F%C3%A9");
    }

    #[test]
    fn a_body_never_outgrows_its_first_buffer() {
        let pairs = [("a", "~ü&"), ("refresh_token", "r+/="), ("", "")];
        let body = body(&pairs);
        assert_eq!(*body, "a=%7E%C3%BC%26&refresh_token=r%2B%2F%3D&=");
        assert_eq!(body.capacity(), body.len() + 1);
        assert_eq!(encode(&pairs).expose(), *body);
        let text = encode_one("~ü&");
        assert_eq!(text.capacity(), text.len());
    }

    #[test]
    fn what_was_encoded_decodes_to_itself() {
        for text in ["", "a b", "100%", "%zz", "+", "ü\u{202e}\0", "%4", "%+1"] {
            assert_eq!(decode(&encode_one(text)), Some(text.to_string()));
        }
    }

    #[test]
    fn a_stray_percent_sign_stands_for_itself() {
        assert_eq!(decode("100%").as_deref(), Some("100%"));
        assert_eq!(decode("%zz%4%+1").as_deref(), Some("%zz%4% 1"));
        assert_eq!(decode("%ff"), None);
    }
}
