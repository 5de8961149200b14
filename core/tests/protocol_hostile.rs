//! Input that was made to hurt: every reader ends, with an outcome that has a type.

use regrant_core::protocol::{
    ApiReply, Class, Profile, TokenReply, challenges, read_api_reply, read_token_reply,
};
use regrant_core::{Answer, Applied, Cause};

#[track_caller]
fn is_no_grant(body: &[u8], content_type: Option<&str>) {
    let content_type = content_type.map(|line| ("content-type", line.as_bytes()));
    let headers = content_type.as_slice();
    for profile in [None, Profile::of("slack").ok()] {
        let profile = profile.as_ref();
        let reply = TokenReply { status: 200, headers, body, ..TokenReply::default() };
        let reading = read_token_reply(&reply, profile);
        match &reading.answer {
            Answer::Failed(failure) if reading.rule == "no_grant" => {
                assert_eq!((failure.cause, failure.applied), (Cause::NotOauth, Applied::Perhaps));
            }
            _ => panic!("{reading:?}"),
        }
        let scheme = Some("Bearer");
        let reply = ApiReply { scheme, status: 401, headers, body, ..ApiReply::default() };
        assert_eq!(read_api_reply(&reply, profile).class, Class::TokenRejected);
    }
}

#[test]
fn a_body_of_16_mib_is_not_read() {
    let mut body = br#"{"access_token":"a1","pad":""#.to_vec();
    body.resize(16 << 20, b'A');
    body.extend(b"\"}");
    is_no_grant(&body, None);
}

#[test]
fn a_body_within_the_limit_is_read_whatever_it_is_made_of() {
    for unit in ["&", "=", "%", "access_token=&", "\"", "\\", "{\"a\":", "[", "\u{feff}", "é", "1e"]
    {
        let body = unit.repeat((1 << 20) / unit.len());
        is_no_grant(body.as_bytes(), None);
        is_no_grant(body.as_bytes(), Some("application/json"));
    }
}

#[test]
fn json_of_any_depth_needs_no_stack() {
    for (open, close) in [("[", "]"), ("{\"error\":", "}")] {
        for close in ["", &close.repeat(100_000)] {
            let nested = open.repeat(100_000) + close;
            let body = format!(r#"{{"access_token":"a1","error":{nested}}}"#);
            is_no_grant(body.as_bytes(), None);
        }
    }
}

#[test]
fn text_that_is_not_utf_8_is_no_answer() {
    is_no_grant(b"{\"access_token\":\"a1\",\"x\":\"\xff\"}", None);
    is_no_grant(b"access_token=a1&x=\xc3", Some("application/x-www-form-urlencoded"));
    is_no_grant(&[0xff; 4096], None);
}

#[test]
fn a_line_of_a_mib_is_ignored_and_costs_no_other() {
    for unit in ["a", "\"", "\\\"", ",", "a=", "Bearer ", "= ", "'"] {
        let long = format!("Bearer {}", unit.repeat((1 << 20) / unit.len()));
        let lines: [&[u8]; 2] = [long.as_bytes(), b"Bearer error=e"];
        let found = challenges(lines);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].param("error"), Some("e"));
    }
    assert!(challenges((0..100_000).map(|_| &b"Bearer"[..])).len() <= 32);
}

/// Bytes that look enough like the real thing to get far into each reader.
struct Splitmix(u64);

impl Splitmix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.next() as usize % from.len()]
    }

    fn pick_one<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.next() as usize % from.len()]
    }

    fn bytes(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.next() % 24 {
            match self.next() % 4 {
                0 => out.extend(self.next().to_le_bytes().iter().take(2)),
                _ => out.extend(self.pick(words)),
            }
        }
        out
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    const BODY: [&[u8]; 24] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"\"",
        b"\\",
        b"\\u",
        b"d83d",
        b"\"error\":",
        b"\"access_token\":",
        b"\"expires_in\":",
        b"\"id_token\":\"a.",
        b"\"scope\":[",
        b"\"invalid_grant\"",
        b"1e400",
        b"-0.5",
        b"null",
        b"&",
        b"=",
        b"%",
        b"access_token=a",
        b"\xef\xbb\xbf",
    ];
    const LINE: [&[u8]; 16] = [
        b"Bearer ",
        b"DPoP",
        b" ",
        b"\t",
        b",",
        b";",
        b"=",
        b"\"",
        b"'",
        b"\\",
        b"error=",
        b"\"invalid_token\"",
        b"realm",
        b"abc==",
        b"\xe9",
        b"use_dpop_nonce",
    ];
    let profiles: Vec<_> = Profile::names().map(|name| Profile::of(name).unwrap()).collect();
    let mut random = Splitmix(1);
    for _ in 0..30_000 {
        let body = random.bytes(&BODY);
        let (one, two, nonce) =
            (random.bytes(&LINE), random.bytes(&LINE), random.bytes(&[b"n", b"\""]));
        let status = match random.next() % 4 {
            0 => 200,
            1 => 400,
            2 => 401,
            _ => u16::try_from(random.next() % 1000).unwrap(),
        };
        let headers: Vec<(&str, &[u8])> = vec![
            ("content-type", &one),
            ("www-authenticate", &one),
            ("www-authenticate", &two),
            ("dpop-nonce", &nonce),
            ("grpc-status", &two),
        ];
        let headers = &headers[usize::from(random.next().is_multiple_of(2))..];
        let profile = random.next().is_multiple_of(2).then(|| random.pick_one(&profiles));
        let reply = TokenReply { status, headers, body: &body, ..TokenReply::default() };
        _ = read_token_reply(&reply, profile);
        let scheme = std::str::from_utf8(&two).ok().or(Some("DPoP"));
        let reply = ApiReply { scheme, status, headers, body: &body, ..ApiReply::default() };
        _ = read_api_reply(&reply, profile);
        for challenge in challenges([&one[..], &two[..]]) {
            assert!(!challenge.scheme.is_empty());
            assert!(challenge.params.iter().all(|(name, _)| !name.is_empty()));
        }
    }
}
