//! `explain`: the page of a code.

use serde_json::{Value, json};

use crate::args::Explain;
use crate::error::Failure;
use crate::explain::{self, Page, pages};
use crate::output::Output;

pub(super) fn run(explain: &Explain, output: Output) -> Result<(), Failure> {
    match &explain.code {
        None => {
            let widest = pages().map(|page| page.code.len()).max().unwrap_or(0);
            let line = |page: &Page| format!("{:<widest$}  {}", page.code, page.what);
            let lines: Vec<_> = pages().map(line).collect();
            let codes: Vec<_> = pages().map(to_json).collect();
            output.answer(&lines.join("\n"), &json!({ "codes": codes }))?;
        }
        Some(code) => {
            let page = explain::page(code).ok_or_else(|| {
                Failure::usage(format!("there is no page for {code:?}"))
                    .remedy("`regrant explain` lists the codes")
            })?;
            output.answer(&to_prose(page), &to_json(page))?;
        }
    }
    Ok(())
}

fn to_prose(page: &Page) -> String {
    let Page { code, what, why, remedy, exit } = page;
    let exit = exit.map(|exit| format!(" (exit {exit})")).unwrap_or_default();
    format!("{code}{exit}: {what}\n\n{why}\n\nWhat to do: {remedy}")
}

fn to_json(page: &Page) -> Value {
    let Page { code, what, why, remedy, exit } = page;
    json!({ "code": code, "what": what, "why": why, "remedy": remedy, "exit": exit })
}
