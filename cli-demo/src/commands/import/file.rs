//! A credential in another program's file, which stays as it is.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use regrant::{Grant, Timestamp};
use regrant_storage_file::JsonMap;
use zeroize::Zeroizing;

use super::response::is_text;
use crate::error::Failure;

/// The longest file that is read: 1 MiB. Programs keep some accounts in one, and no more.
const LONGEST: u64 = 1 << 20;

/// What the file holds where the map says. Nothing of it is quoted.
pub(super) fn grant(path: &Path, map: &[String], now: Timestamp) -> Result<Grant, Failure> {
    let map = JsonMap::parse(map).map_err(|error| {
        Failure::usage("--map is not as it should be")
            .because(&error)
            .remedy("write --map access_token=/path/to/it, and so on for each member")
    })?;
    let found = map.read(&content(path)?).map_err(|error| {
        Failure::usage("--from-file is not as --map says")
            .because(&error)
            .remedy("compare the file with --map; programs also write it while others read")
    })?;
    let wrong = |what: &str| {
        Failure::usage(what).remedy("correct --map: each pointer leads to the member itself")
    };
    let grant =
        found.grant(now).ok_or_else(|| wrong("the file has no access token where --map says"))?;
    let refresh_token = grant.refresh_token.as_ref();
    if [Some(&grant.access_token), refresh_token].into_iter().flatten().any(|token| !is_text(token))
    {
        return Err(wrong("what lies where --map says has characters that no token has"));
    }
    if !grant.token_type.eq_ignore_ascii_case("bearer") {
        return Err(wrong("regrant sends bearer tokens only, and this one is of another type"));
    }
    Ok(grant)
}

fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage("--from-file cannot be read").because(&error).remedy("check its path")
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    // With room for what is read, so that no part of it is left where it was before.
    let room = usize::try_from(length.min(LONGEST)).unwrap_or(0) + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::usage("--from-file is longer than 1 MiB").remedy("check its path"));
    }
    Ok(bytes)
}
