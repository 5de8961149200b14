//! Secrets that are known again in whatever form they turn up.
//!
//! A canary is a random text that stands nowhere else. What is searched for are pieces of it that
//! are eight bytes long, from its first to its last, so that a prefix, a suffix and a part in the
//! middle are found alike, in each form that a library writes text in.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aho_corasick::AhoCorasick;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use url::form_urlencoded;

/// The shortest part of a secret that counts as the secret: 8 bytes, as loggers print of tokens
/// that they shorten.
const PIECE: usize = 8;

/// How far apart pieces begin: 4 bytes. What is 11 bytes long contains one, wherever it begins; a
/// prefix and a suffix are pieces themselves.
const STEP: usize = 4;

/// How long a canary is: 40 bytes. As long as a token of many servers, and shorter than what the
/// reader of answers still takes for an error code, which is 48.
const LENGTH: usize = 40;

/// What tokens are made of (RFC 6750 section 2.1), but for letters and digits.
const OF_TOKENS: &[u8] = b"-._~+/";

/// What stands otherwise in a form, in JSON and in base64: passphrases and client secrets may be
/// made of anything.
const OF_TEXTS: &[u8] = b"\"\\&%= +<'";

/// One secret.
#[derive(Clone)]
struct Canary {
    what: String,
    bytes: Vec<u8>,
}

/// Where a part of a secret was seen, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) what: String,
    pub(crate) form: &'static str,
    pub(crate) at: usize,
    /// The bytes before it, which tell what leaked it.
    pub(crate) after: String,
}

/// The secrets of one test. Clones are one collection.
#[derive(Clone, Default)]
pub(crate) struct Canaries(Arc<Mutex<Vec<Canary>>>);

impl Canaries {
    /// A new token, code or cookie.
    pub(crate) fn token(&self, what: &str) -> String {
        self.planted(what, &text(LENGTH, OF_TOKENS))
    }

    /// A new passphrase or client secret.
    pub(crate) fn phrase(&self, what: &str) -> String {
        self.planted(what, &text(LENGTH, OF_TEXTS))
    }

    /// A new key of 32 bytes.
    pub(crate) fn key(&self, what: &str) -> [u8; 32] {
        let key = self.planted(what, &text(32, OF_TEXTS));
        key.into_bytes().try_into().unwrap()
    }

    /// A secret that somebody else has made. Again and again is as once.
    pub(crate) fn planted(&self, what: &str, text: &str) -> String {
        assert!(text.len() >= PIECE, "{what} is too short to be searched for");
        let mut all = self.0.lock().unwrap();
        if !all.iter().any(|canary| canary.bytes == text.as_bytes()) {
            all.push(Canary { what: what.to_owned(), bytes: text.as_bytes().to_vec() });
        }
        text.to_owned()
    }

    /// How many there are of a kind.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|canary| canary.what == what).count()
    }

    pub(crate) fn searcher(&self) -> Searcher {
        Searcher::new(&self.0.lock().unwrap())
    }

    /// Fails if anything of these secrets is in there.
    #[track_caller]
    pub(crate) fn assert_absent(&self, place: &str, bytes: impl AsRef<[u8]>) {
        self.searcher().assert_absent(place, bytes);
    }
}

/// A new secret of this length: every fifth byte is one of these, all others are letters and
/// digits. So each piece of it differs from its other forms.
fn text(length: usize, others: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static MINTED: AtomicU64 = AtomicU64::new(0);
    // Not the generator's own step, or the next secret would be this one, shifted.
    let number = MINTED.fetch_add(1, Ordering::Relaxed);
    let mut state = number.wrapping_mul(0xd134_2543_de82_ef95);
    let letters = (0..length).map(|at| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let from = if at % 5 == 4 { others } else { LETTERS };
        let index = usize::try_from((z ^ (z >> 31)) % from.len() as u64).unwrap();
        char::from(from[index])
    });
    letters.collect()
}

/// The pieces of a secret, the last one always among them.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let last = text.len() - PIECE;
    (0..last).step_by(STEP).chain([last]).map(|at| &text[at..at + PIECE])
}

/// The form that most others are where a piece holds nothing that they write otherwise.
const PLAIN: &str = "plain";

/// How a text is written in a form.
type Write = fn(&str) -> String;

/// The forms of a piece that stand for themselves, wherever they begin.
const WRITTEN: [(&str, Write); 8] = [
    (PLAIN, str::to_owned),
    ("URL-encoded", |piece| form_urlencoded::byte_serialize(piece.as_bytes()).collect()),
    ("percent-encoded", |piece| {
        form_urlencoded::byte_serialize(piece.as_bytes()).collect::<String>().replace('+', "%20")
    }),
    ("hexadecimal", |piece| listed(piece, "", |byte| format!("{byte:02x}"))),
    ("JSON", |piece| inner(&serde_json::to_string(piece).unwrap())),
    ("Debug", |piece| inner(&format!("{piece:?}"))),
    // As `{:?}` writes bytes, in one line and in several.
    ("numbers", |piece| listed(piece, ", ", |byte| byte.to_string())),
    ("numbers in lines", |piece| listed(piece, ",\n        ", |byte| byte.to_string())),
];

fn listed(piece: &str, between: &str, write: impl Fn(u8) -> String) -> String {
    piece.bytes().map(write).collect::<Vec<_>>().join(between)
}

/// What stands between quotes.
fn inner(quoted: &str) -> String {
    quoted[1..quoted.len() - 1].to_owned()
}

/// The letters of base64 that hold nothing but this piece, which has `before` other bytes before
/// it: the same whatever those bytes are.
fn in_base64(engine: &impl base64::Engine, piece: &str, before: usize) -> String {
    let encoded = engine.encode([&vec![0; before], piece.as_bytes()].concat());
    let (start, end) = ((before * 8).div_ceil(6), (before + piece.len()) * 8 / 6);
    encoded[start..end].to_owned()
}

/// Finds secrets in any bytes. Upper and lower case are one, as some logs change it.
pub(crate) struct Searcher {
    automaton: AhoCorasick,
    /// What each pattern is of, and in which form.
    sources: Vec<(String, &'static str)>,
}

impl Searcher {
    fn new(canaries: &[Canary]) -> Self {
        let (mut patterns, mut sources) = (Vec::new(), Vec::new());
        for canary in canaries {
            let text = std::str::from_utf8(&canary.bytes).unwrap();
            assert!(text.is_ascii(), "a canary is cut into pieces of bytes");
            let mut add = |form, pattern: String| {
                patterns.push(pattern);
                sources.push((canary.what.clone(), form));
            };
            for piece in pieces(text) {
                for (form, write) in WRITTEN {
                    let written = write(piece);
                    if form == PLAIN || written != piece {
                        add(form, written);
                    }
                }
            }
            // A secret also goes through base64 once it was encoded for a form, as with Basic
            // (RFC 6749 section 2.3.1).
            let encoded: String = form_urlencoded::byte_serialize(&canary.bytes).collect();
            for (form, encoded) in [("base64", text), ("URL-encoded in base64", &encoded)] {
                for piece in pieces(encoded) {
                    for before in 0..3 {
                        add(form, in_base64(&BASE64_STANDARD, piece, before));
                        let for_urls = in_base64(&BASE64_URL_SAFE, piece, before);
                        if !for_urls.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                            add(form, for_urls);
                        }
                    }
                }
            }
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(patterns);
        Self { automaton: automaton.unwrap(), sources }
    }

    /// Each secret that is in there, once for each form.
    pub(crate) fn sightings(&self, bytes: impl AsRef<[u8]>) -> Vec<Sighting> {
        let bytes = bytes.as_ref();
        let mut found: Vec<Sighting> = Vec::new();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let (what, form) = &self.sources[hit.pattern().as_usize()];
            if found.iter().any(|seen| seen.what == *what && seen.form == *form) {
                continue;
            }
            // 200 bytes are a line of most logs.
            let before = &bytes[hit.start().saturating_sub(200)..hit.start()];
            let after = String::from_utf8_lossy(before).into_owned();
            found.push(Sighting { what: what.clone(), form, at: hit.start(), after });
        }
        found
    }

    #[track_caller]
    pub(crate) fn assert_absent(&self, place: &str, bytes: impl AsRef<[u8]>) {
        let found = self.sightings(bytes);
        let mut said = String::new();
        for Sighting { what, form, at, after } in &found {
            writeln!(said, "- {what}, {form}, at byte {at}, after: {after}").unwrap();
        }
        assert!(found.is_empty(), "secrets in {place}:\n{said}");
    }
}
