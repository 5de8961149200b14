//! Edges in, text out. Nothing here reads a file.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};

/// From (none: the first load), to, trigger, why.
pub(super) type Edge = (Option<String>, String, String, String);

const BEGIN: &str = "<!-- diagram:begin -->";
const END: &str = "<!-- diagram:end -->";

/// The Mermaid diagram as a fenced block, and below it what is not drawn.
///
/// Edges between the same two states share one arrow, in the order of the table; a trigger that
/// has several rows there is written once. A trigger that leads out of every state would cover
/// the picture with arrows and is named below instead, as is one that leads back to its own state
/// and the first load.
pub(super) fn render(edges: &[Edge]) -> String {
    let mut arrows: Vec<(Option<String>, String, Vec<String>)> = Vec::new();
    let mut everywhere: Vec<String> = Vec::new();
    let mut staying: Vec<String> = Vec::new();
    for (from, to, trigger, why) in edges.iter().cloned() {
        if leads_out_of_every_state(edges, &trigger) {
            let line = format!("- `{trigger}`, from any state: {}.\n", cell(&why));
            if !everywhere.contains(&line) {
                everywhere.push(line);
            }
            continue;
        }
        if from.as_ref() == Some(&to) {
            staying.push(format!("`{trigger}` in {to}"));
            continue;
        }
        match arrows.iter_mut().find(|(start, end, _)| *start == from && *end == to) {
            Some((_, _, triggers)) if triggers.contains(&trigger) => {}
            Some((_, _, triggers)) => triggers.push(trigger),
            None => arrows.push((from, to, vec![trigger])),
        }
    }
    let mut text = String::from("```mermaid\nstateDiagram-v2\n");
    for (from, to, triggers) in arrows {
        let from = from.as_deref().unwrap_or("[*]");
        let _ = writeln!(text, "    {from} --> {to}: {}", triggers.join("<br/>"));
    }
    text.push_str("```\n");
    if !(everywhere.is_empty() && staying.is_empty()) {
        text.push_str("\nNot drawn:\n\n");
        text.extend(everywhere);
        if !staying.is_empty() {
            let _ = writeln!(
                text,
                "- changes of the facts that leave the name as it is: {}.",
                staying.join(", ")
            );
        }
    }
    text
}

/// Whether this trigger has rows from every state that the table knows, or from none at all.
fn leads_out_of_every_state(edges: &[Edge], trigger: &str) -> bool {
    let rows = || edges.iter().filter(|(_, _, name, _)| name == trigger);
    let states = edges.iter().map(|(_, to, _, _)| to);
    rows().all(|(from, ..)| from.is_none())
        || states.clone().all(|state| rows().any(|(from, ..)| from.as_ref() == Some(state)))
}

/// All of `docs/state-machine.md`.
pub(super) fn page(edges: &[Edge]) -> String {
    let mut text = String::from(
        "# The state machine\n\n\
         Drawn by `cargo xtask diagram` from the table of edges in `core/`. Change the table, not \
         this page.\n\n",
    );
    text.push_str(&render(edges));
    let _ = write!(text, "\n## Every edge ({})\n\n", edges.len());
    text.push_str("| from | trigger | to | why |\n|---|---|---|---|\n");
    for (from, to, trigger, why) in edges {
        let from = from.as_deref().unwrap_or("(first load)");
        let _ = writeln!(text, "| {from} | `{trigger}` | {to} | {} |", cell(why));
    }
    text
}

/// A sentence that stays one cell of a table.
fn cell(sentence: &str) -> String {
    sentence.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The text with the block between the two markers replaced.
pub(super) fn with_block(text: &str, block: &str) -> anyhow::Result<String> {
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("README.md has no `{BEGIN}`; put it where the diagram goes"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("README.md has no `{END}` after `{BEGIN}`"))?;
    ensure!(!after.contains(BEGIN), "README.md has `{BEGIN}` twice");
    Ok(format!("{before}{BEGIN}\n{block}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: Option<&str>, to: &str, trigger: &str, why: &str) -> Edge {
        (from.map(str::to_owned), to.to_owned(), trigger.to_owned(), why.to_owned())
    }

    fn edges() -> Vec<Edge> {
        vec![
            edge(None, "Valid", "loaded", "the first load"),
            edge(Some("Valid"), "Retrying", "rejected", "the server | decides"),
            edge(Some("Retrying"), "Valid", "accepted", "a grant of our own"),
            edge(Some("Retrying"), "Valid", "mended", "another process\nwas faster"),
            edge(Some("Retrying"), "Valid", "accepted", "a grant that came late"),
            edge(Some("Valid"), "Valid", "failed", "ahead of need"),
            edge(Some("Valid"), "Valid", "adopted", "taken over"),
            edge(Some("Retrying"), "Valid", "adopted", "taken over"),
        ]
    }

    #[test]
    fn parallel_edges_share_one_arrow_and_what_is_everywhere_is_named_below() {
        let expected = "\
```mermaid
stateDiagram-v2
    Valid --> Retrying: rejected
    Retrying --> Valid: accepted<br/>mended
```

Not drawn:

- `loaded`, from any state: the first load.
- `adopted`, from any state: taken over.
- changes of the facts that leave the name as it is: `failed` in Valid.
";
        assert_eq!(render(&edges()), expected);
    }

    #[test]
    fn the_page_has_every_row_of_the_table() {
        let page = page(&edges());
        assert!(page.contains("## Every edge (8)"), "{page}");
        assert!(page.contains("| (first load) | `loaded` | Valid | the first load |"));
        assert!(page.contains("| Retrying | `accepted` | Valid | a grant that came late |"));
    }

    #[test]
    fn a_reason_stays_in_its_cell() {
        let page = page(&edges());
        assert!(page.contains("| the server \\| decides |"), "{page}");
        assert!(page.contains("| another process was faster |"), "{page}");
    }

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let drawn = with_block(&text, "new\n").unwrap();
        assert_eq!(drawn, format!("above\n{BEGIN}\nnew\n{END}\nbelow\n"));
        assert_eq!(with_block(&drawn, "new\n").unwrap(), drawn);
    }

    #[test]
    fn a_readme_without_markers_is_an_error_that_names_the_marker() {
        let error = with_block("no markers", "new\n").unwrap_err();
        assert!(error.to_string().contains(BEGIN), "{error}");
        let error = with_block(&format!("{END}\n{BEGIN}"), "new\n").unwrap_err();
        assert!(error.to_string().contains(END), "{error}");
    }
}
