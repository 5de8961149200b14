//! `WWW-Authenticate`, line by line.

use regrant_core::protocol::{Challenge, challenges};

/// Reads lines of `WWW-Authenticate`.
pub fn challenge(data: &[u8]) {
    let lines = || data.split(|byte| *byte == b'\n');
    let found = challenges(lines());
    assert!(found.len() <= 32, "more challenges than are read");
    for challenge in &found {
        is_sound(challenge);
        let line = written(challenge);
        if line.len() <= 16 << 10 {
            let again = challenges([line.as_slice()]);
            assert_eq!(
                again,
                std::slice::from_ref(challenge),
                "{:?}",
                String::from_utf8_lossy(&line)
            );
        }
    }
    // A broken line costs no other.
    let mut apart: Vec<_> = lines().flat_map(|line| challenges([line])).collect();
    apart.truncate(32);
    assert_eq!(found, apart);
    // All on one line are the same as each on its own.
    let together = found.iter().map(written).collect::<Vec<_>>().join(&b", "[..]);
    if together.len() <= 16 << 10 {
        assert_eq!(challenges([together.as_slice()]), found);
    }
}

fn is_sound(challenge: &Challenge) {
    assert!(!challenge.scheme.is_empty() && challenge.scheme.is_ascii());
    assert!(challenge.params.len() <= 64, "more parameters than are read");
    for (name, value) in &challenge.params {
        assert!(!name.is_empty() && *name == name.to_ascii_lowercase());
        let contradicted = challenge.params.iter().any(|(n, v)| n == name && v != value);
        let said = challenge.param(name);
        assert_eq!(said, Some(value.as_str()).filter(|_| !contradicted), "{name}");
    }
}

/// The challenge as RFC 9110 section 11 writes it.
fn written(challenge: &Challenge) -> Vec<u8> {
    let params = challenge.params.iter().map(|(name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{name}=\"{value}\"")
    });
    let params = params.collect::<Vec<_>>().join(", ");
    format!("{} {params}", challenge.scheme).into_bytes()
}
