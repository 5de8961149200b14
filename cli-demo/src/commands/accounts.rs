//! `accounts`: what the store holds.

use regrant_storage::{Entry, Name};
use serde_json::{Value, json};

use super::Context;
use crate::error::Failure;

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let store = context.store().await?;
    let mut rows: Vec<Row> = store.list().await?.into_iter().filter_map(Row::of).collect();
    rows.sort_by(|one, other| one.account.cmp(&other.account));

    let widest = rows.iter().map(|row| row.account.chars().count()).max().unwrap_or(0);
    let prose: Vec<_> = rows
        .iter()
        .map(|Row { account, state, generation }| {
            format!("{account:<widest$}  {state:<9}  generation {generation}")
        })
        .collect();
    if rows.is_empty() && !context.output.is_json() {
        context.output.note(&format!("no credentials in {}", store.url()));
        return Ok(());
    }
    let json: Vec<Value> = rows
        .iter()
        .map(|Row { account, state, generation }| {
            json!({ "account": account, "state": state, "generation": generation })
        })
        .collect();
    let answer = json!({ "accounts": json, "store": store.url() });
    context.output.answer(&prose.join("\n"), &answer)?;
    Ok(())
}

struct Row {
    account: String,
    /// `tombstone` is what a logout or a refusal left.
    state: &'static str,
    generation: u64,
}

impl Row {
    fn of(entry: Entry) -> Option<Self> {
        let Name::Account(account) = entry.name else { return None };
        let state = if entry.live { "live" } else { "tombstone" };
        Some(Self { account, state, generation: entry.generation })
    }
}
