//! The pages that people see: plain HTML without a script.

use http::{HeaderMap, StatusCode, header};

use crate::answer::Reply;

/// Nothing is loaded and nobody frames the page. There is no `form-action`: some browsers hold it
/// against the redirect that answers the form, which goes to the client.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// A page; `body` is HTML.
pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Reply {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n{body}\n"
    );
    Reply::new(status, "text/html; charset=utf-8", html)
        .with(header::CONTENT_SECURITY_POLICY, Some(POLICY))
        // A stricter policy would take the origin from forms, and they are checked by it.
        .with(header::REFERRER_POLICY, Some("same-origin"))
}

/// A page that says what is wrong with a request that cannot be answered by a redirect.
pub(crate) fn problem(message: &str) -> Reply {
    page(StatusCode::BAD_REQUEST, "This login cannot go on", &paragraph(message))
}

/// Asks whether a client may have a scope.
pub(crate) fn consent(name: &str, client: &str, scope: &str, destination: &str) -> Reply {
    let text =
        format!("{client} wants access to the sandbox: {scope}. You go on to {destination}.");
    let body = format!(
        "{}\n{}\n{}",
        paragraph(&text),
        button(name, "approve", "Approve"),
        button(name, "deny", "Deny"),
    );
    page(StatusCode::OK, "Log in", &body)
}

/// Asks for the code that a device shows.
pub(crate) fn device(user_code: &str) -> Reply {
    let body = format!(
        "<form method=\"post\" action=\"/device\">\n\
         <p><label>Code on the device: <input name=\"user_code\" value=\"{}\" \
         autocomplete=\"off\" required></label></p>\n\
         <button name=\"decision\" value=\"approve\">Approve</button>\n\
         <button name=\"decision\" value=\"deny\">Deny</button>\n</form>",
        escaped(user_code)
    );
    page(StatusCode::OK, "Log a device in", &body)
}

pub(crate) fn device_decided(approved: bool) -> Reply {
    let text = if approved { "The device is logged in." } else { "The device is not logged in." };
    let text = format!("{text} You can close this page.");
    page(StatusCode::OK, "Done", &paragraph(&text))
}

/// A form with one button, about the request that has this name.
fn button(name: &str, decision: &str, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/authorize\">\n\
         <input type=\"hidden\" name=\"request\" value=\"{}\">\n\
         <button name=\"decision\" value=\"{decision}\">{label}</button>\n</form>",
        escaped(name)
    )
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Whether a form was sent by a page of another origin.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = format!("http://{host}");
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes() != own.as_bytes())
}

pub(crate) fn foreign() -> Reply {
    let text = "This form was sent by a page that is not of the sandbox.";
    page(StatusCode::FORBIDDEN, "This login cannot go on", &paragraph(text))
}
