//! The core's table of edges, in the words the diagram is drawn from.

use super::render::Edge;

/// Every row of the table, in its order.
pub(super) fn edges() -> Vec<Edge> {
    regrant_core::edges()
        .iter()
        .map(|edge| {
            (
                edge.from.as_ref().map(ToString::to_string),
                edge.to.to_string(),
                edge.trigger.to_owned(),
                edge.why.to_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_rows_and_each_says_why() {
        let edges = edges();
        assert!(!edges.is_empty());
        for (from, to, trigger, why) in edges {
            assert!(!trigger.is_empty() && !why.is_empty(), "{from:?} to {to}");
        }
    }
}
