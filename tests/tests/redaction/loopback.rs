//! A server on loopback that answers what a test says, byte for byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use url::form_urlencoded;

/// How long a peer may take for its request, which is longer than loopback ever takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request, as it came.
pub(crate) struct Received {
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) dpop: Option<String>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// A field of the form that came.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let fields = form_urlencoded::parse(self.body.as_bytes());
        fields.into_iter().find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
    }

    /// The access token that came.
    pub(crate) fn token(&self) -> Option<&str> {
        self.authorization.as_deref()?.split_once(' ').map(|(_, token)| token)
    }
}

/// Bytes to answer with; without any, the connection ends.
pub(crate) type Answer = Option<Vec<u8>>;

/// An answer with these lines in its header.
pub(crate) fn answer(status: u16, lines: &[(&str, &str)], body: &str) -> Answer {
    let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n");
    for (name, value) in lines {
        head += &format!("{name}: {value}\r\n");
    }
    Some(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &str) -> Answer {
    answer(status, &[("content-type", "application/json")], body)
}

/// A server, until it is dropped.
pub(crate) struct Loopback {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// What `says` is given the server's own origin and a request, each on a thread of its own.
    pub(crate) fn start(says: impl Fn(&str, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ends, says) = (Arc::new(AtomicBool::new(false)), Arc::new(says));
        let ended = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let origin = format!("http://{address}");
            for stream in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let (origin, says) = (origin.clone(), Arc::clone(&says));
                thread::spawn(move || serve(stream.unwrap(), |received| says(&origin, received)));
            }
        });
        Self { address, ends, thread: Some(thread) }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // Wakes the one who accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, says: impl Fn(&Received) -> Answer) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    // Whoever connects and says nothing gets nothing.
    let Some(received) = read(&mut reader) else { return };
    let mut stream = reader.into_inner();
    if let Some(bytes) = says(&received) {
        // Who has gone away has no answer.
        let _ = stream.write_all(&bytes);
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut received = Received { target, authorization: None, dpop: None, body: String::new() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => received.authorization = Some(value),
            "dpop" => received.dpop = Some(value),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    received.body = String::from_utf8(body).ok()?;
    Some(received)
}
