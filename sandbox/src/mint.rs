//! New random tokens, codes and nonces. What might be taken for a secret begins with `sandbox_`, so
//! that a scanner knows it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{devices::DeviceCodes, state::Minted};

pub(crate) fn tokens() -> Minted {
    Minted {
        access: format!("sandbox_at_{}", random()),
        refresh: format!("sandbox_rt_{}", random()),
    }
}

pub(crate) fn authorization_code() -> String {
    format!("sandbox_code_{}", random())
}

pub(crate) fn device_codes() -> DeviceCodes {
    DeviceCodes { device: format!("sandbox_dc_{}", random()), user: user_code() }
}

/// What nobody can guess: a nonce, or the name of a page.
pub(crate) fn random() -> String {
    // 16 bytes: nobody guesses 128 bits.
    URL_SAFE_NO_PAD.encode(bytes::<16>())
}

/// Letters that make no words and look like no digits (RFC 8628, section 6.1).
const USER_CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

fn user_code() -> String {
    // One letter from each byte. That the first sixteen letters are likelier by a twelfth than the
    // others costs less than one of the code's 34 bits.
    let letters = bytes::<8>()
        .map(|byte| char::from(USER_CODE_LETTERS[usize::from(byte) % USER_CODE_LETTERS.len()]));
    let code: String = letters.iter().collect();
    format!("{}-{}", &code[..4], &code[4..])
}

/// # Panics
///
/// If the operating system has no random bytes.
fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_eight_letters_that_can_be_read_aloud() {
        let code = user_code();
        let (first, second) = code.split_once('-').unwrap();
        assert_eq!((first.len(), second.len()), (4, 4));
        let known = |letter| USER_CODE_LETTERS.contains(&letter);
        assert!(code.replace('-', "").bytes().all(known), "{code}");
    }
}
