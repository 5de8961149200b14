//! Whether each credential of the store opens, and how the chosen one does.

use regrant::{LoginReason, StateKind, StoreError, Timestamp};
use regrant_core::Record;
use regrant_storage::{Entry, Name};

use super::Check;
use crate::commands::Report;
use crate::error::Failure;
use crate::store::Store;
use crate::time;

/// The checks, and the record of the chosen account if there is one.
pub(crate) async fn examine(
    store: &Store,
    entries: &[Entry],
    account: &str,
    now: Timestamp,
    advised: impl Fn(Failure) -> Failure,
) -> (Option<Record>, Vec<Check>) {
    let mut chosen = None;
    let mut checks = Vec::new();
    let mut names: Vec<&str> = entries.iter().filter_map(name).collect();
    if !names.contains(&account) {
        names.push(account);
    }
    // The chosen one first, since its failure is the one to tell of.
    names.sort_by_key(|name| (*name != account, *name));
    for name in names {
        let check = format!("credential {name}");
        let loaded: Result<_, StoreError> = store.load(name).await;
        match loaded {
            Err(error) => checks.push(Check::failed(check, &advised(error.into()))),
            Ok(record) if name == account => {
                checks.push(of_chosen(check, record.as_ref(), now));
                chosen = record;
            }
            Ok(record) => {
                let state = Report::of(record.as_ref(), now).state();
                checks.push(Check::fine(check, state.to_string()));
            }
        }
    }
    (chosen, checks)
}

fn name(entry: &Entry) -> Option<&str> {
    match &entry.name {
        Name::Account(name) => Some(name),
        Name::DataKey => None,
    }
}

fn of_chosen(name: String, record: Option<&Record>, now: Timestamp) -> Check {
    let report = Report::of(record, now);
    let state = report.state();
    if state == StateKind::NeedsLogin {
        let reason = report.login_reason().unwrap_or(LoginReason::NotLoggedIn);
        return Check::failed(name, &Failure::needs_login(reason, report.server_code()));
    }
    let cool_down = record.and_then(|record| record.cool_down.as_ref());
    if let Some(cool_down) = cool_down.filter(|cool_down| cool_down.until > now) {
        let code = cool_down.code.clone();
        let failure = Failure::delayed(cool_down.cause, code, Some(cool_down.until));
        if failure.exit == crate::error::Exit::Misconfigured {
            return Check::failed(name, &failure);
        }
        let until = time::with_distance(cool_down.until, now);
        let what = format!("{state}; {}, left alone until {until}", failure.what());
        return Check::warning(name, what, failure.what_to_do());
    }
    let marks = record.map_or(&[][..], |record| &record.marks);
    if let Some(mark) = marks.iter().find(|mark| mark.until > now) {
        let until = time::with_distance(mark.until, now);
        let what = format!("{state}; {} rejects its tokens, left alone until {until}", mark.origin);
        return Check::warning(name, what, crate::explain::remedy("still_rejected"));
    }
    Check::fine(name, format!("{state}; {}", report.next()))
}
