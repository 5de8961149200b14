//! An HTTP answer as `curl -i` prints it.

use super::answer::HttpAnswer;

/// Why a text is no HTTP answer. The input is not quoted: it may hold a token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PrintedError {
    #[error("the input is empty where an HTTP answer should be")]
    Empty,
    #[error("the input does not begin with a status line such as `HTTP/1.1 401 Unauthorized`")]
    StatusLine,
    #[error("line {line} of the input is no header line")]
    HeaderLine {
        /// Counted from 1.
        line: usize,
    },
}

/// Reads it. Where several answers are printed (100 Continue, a proxy's, those before a redirect
/// that curl followed), the last one counts.
pub(super) fn read(input: &[u8]) -> Result<HttpAnswer, PrintedError> {
    let mut rest = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let mut number = 0;
    while let Some((&[], after)) = next_line(rest) {
        (rest, number) = (after, number + 1);
    }
    if rest.is_empty() {
        return Err(PrintedError::Empty);
    }
    loop {
        let (line, after) = next_line(rest).ok_or(PrintedError::StatusLine)?;
        let status = status(line).ok_or(PrintedError::StatusLine)?;
        (rest, number) = (after, number + 1);
        let headers = headers(&mut rest, &mut number)?;
        let is_followed = next_line(rest).is_some_and(|(line, _)| self::status(line).is_some());
        if !is_followed {
            return Ok(HttpAnswer { status, headers, body: rest.to_vec() });
        }
    }
}

/// The lines of a header, up to the empty one after it.
fn headers(rest: &mut &[u8], number: &mut usize) -> Result<Vec<(String, Vec<u8>)>, PrintedError> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    while let Some((line, after)) = next_line(rest) {
        (*rest, *number) = (after, *number + 1);
        if line.is_empty() {
            break;
        }
        let wrong = || PrintedError::HeaderLine { line: *number };
        // A folded line goes on with the one before it (RFC 9112 section 5.2).
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            let (_, value) = headers.last_mut().ok_or_else(wrong)?;
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(wrong)?;
        let name = std::str::from_utf8(&line[..colon]).map_err(|_| wrong())?.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        headers.push((name.to_owned(), line[colon + 1..].trim_ascii().to_vec()));
    }
    Ok(headers)
}

/// The line without its end, which may be LF or CRLF, and what follows.
fn next_line(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (line, after) = match end {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (rest, &[][..]),
    };
    Some((line.strip_suffix(b"\r").unwrap_or(line), after))
}

/// `HTTP/1.1 401 Unauthorized`, or `HTTP/2 401`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let version = words.next()?;
    let digits = words.next()?;
    let is_version = version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !is_version || digits.len() != 3 {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> HttpAnswer {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_form_that_curl_prints_is_read() {
        for text in [
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate:  Bearer \r\nA: b\r\n\r\nbody\r\n",
            "HTTP/1.0 401\nWWW-Authenticate: Bearer\nA: b\n\nbody\r\n",
            "HTTP/2 401 \r\nwww-authenticate: Bearer\r\na: b\r\n\r\nbody\r\n",
            "HTTP/3 401\n\nHTTP/1.1 401 \nwww-authenticate: Bearer\na: b\n\nbody\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 X\r\nWWW-Authenticate: Bearer\r\nA: b\r\n\r\nbody\r\n",
            "\u{feff}\r\n\nHTTP/1.1 401 X\nWWW-Authenticate:\n\tBearer\nA: b\n\nbody\r\n",
        ] {
            let answer = read_text(text);
            assert_eq!((answer.status, &*answer.body), (401, &b"body\r\n"[..]), "{text:?}");
            assert_eq!(answer.headers.len(), 2, "{text:?}");
            let (name, line) = &answer.headers[0];
            assert!(name.eq_ignore_ascii_case("www-authenticate"), "{text:?}");
            assert_eq!(line.trim_ascii(), b"Bearer", "{text:?}");
        }
    }

    #[test]
    fn a_header_alone_has_an_empty_body() {
        for text in ["HTTP/1.1 204 No Content", "HTTP/1.1 204\r\nA: b", "HTTP/1.1 204\n\n"] {
            let answer = read_text(text);
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let answer = read(b"HTTP/1.1 200 OK\nA: \xff\n\n\xff\n\n\xfe").unwrap();
        assert_eq!(answer.headers, [("A".to_owned(), vec![0xff])]);
        assert_eq!(answer.body, b"\xff\n\n\xfe");
    }

    #[test]
    fn what_is_no_answer_says_where_it_is_wrong() {
        assert_eq!(read(b"\r\n").unwrap_err(), PrintedError::Empty);
        for text in [&b"{}"[..], b"HTTP/1.1\n\n", b"HTTP/1.1 4x1 X\n", b"HTTP/x 200", b"401 X"] {
            assert_eq!(read(text).unwrap_err(), PrintedError::StatusLine, "{text:?}");
        }
        let wrong = read(b"\nHTTP/1.1 200 OK\nA: b\nnonsense\n\n").unwrap_err();
        assert_eq!(wrong, PrintedError::HeaderLine { line: 4 });
        assert_eq!(read(b"HTTP/2 200\n: x\n").unwrap_err(), PrintedError::HeaderLine { line: 2 });
        assert_eq!(read(b"HTTP/2 200\n x\n").unwrap_err(), PrintedError::HeaderLine { line: 2 });
    }
}
