//! Words that people copy from a remedy into their shell.

/// The words as one argument. What a server wrote is in it, so nothing in it may be more than
/// text to a shell.
pub(crate) fn quoted(text: &str) -> String {
    let is_active = |c: char| matches!(c, '"' | '$' | '`' | '\\' | '!');
    if text.contains(is_active) {
        format!("'{}'", text.replace('\'', "'\\''"))
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_word_is_nothing_but_text_to_a_shell() {
        assert_eq!(quoted("read write"), "\"read write\"");
        assert_eq!(quoted("it's"), "\"it's\"");
        assert_eq!(quoted("$(rm -rf ~)"), "'$(rm -rf ~)'");
        assert_eq!(quoted("`a'b`"), "'`a'\\''b`'");
    }
}
