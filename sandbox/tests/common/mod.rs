//! A client without policy: it sends what it is told, once, and follows nothing.
#![expect(dead_code, reason = "each test file uses a part of this")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use regrant_sandbox::{Config, Sandbox};
use reqwest::{Client, Response, redirect};
use serde_json::Value;

pub(crate) fn start(config: Config) -> Sandbox {
    Sandbox::start(config).unwrap()
}

pub(crate) fn client() -> Client {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

pub(crate) fn access(tokens: &Value) -> String {
    tokens["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn refresh_token(tokens: &Value) -> String {
    tokens["refresh_token"].as_str().unwrap().to_owned()
}

/// A refresh by the public client; the answer, or that there was none.
pub(crate) async fn send_refresh(url: &str, token: &str) -> reqwest::Result<Response> {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "sandbox-client"),
    ];
    client().post(url).form(&form).send().await
}

/// A refresh by the public client: status and JSON.
pub(crate) async fn refresh(sandbox: &Sandbox, token: &str) -> (u16, Value) {
    let response = send_refresh(sandbox.token_endpoint(), token).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// A refresh that must be granted.
pub(crate) async fn granted(sandbox: &Sandbox, token: &str) -> Value {
    let (status, body) = refresh(sandbox, token).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// A refresh that must be refused: the code.
pub(crate) async fn refused(sandbox: &Sandbox, token: &str) -> String {
    let (status, body) = refresh(sandbox, token).await;
    assert_eq!(status, 400, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

pub(crate) async fn call(sandbox: &Sandbox, api: &str, token: &str) -> Response {
    let url = format!("{}/things", sandbox.api_url(api));
    client().get(url).bearer_auth(token).send().await.unwrap()
}

pub(crate) async fn call_status(sandbox: &Sandbox, api: &str, token: &str) -> u16 {
    call(sandbox, api, token).await.status().as_u16()
}

pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// Sends these bytes to the server of a URL and reads until the end; an abrupt end is an error.
pub(crate) fn send_raw(url: &str, request: &str) -> std::io::Result<String> {
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A refresh as bytes, for [`send_raw`].
pub(crate) fn raw_refresh(url: &str, token: &str) -> String {
    let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let body = format!("grant_type=refresh_token&client_id=sandbox-client&refresh_token={token}");
    format!(
        "POST /token HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A form, posted as the public client: status and JSON.
pub(crate) async fn post_form(url: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let mut form = form.to_vec();
    form.push(("client_id", "sandbox-client"));
    let response = client().post(url).form(&form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

pub(crate) async fn json_of(url: String) -> Value {
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}
