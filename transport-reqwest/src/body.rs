//! Bodies that know what became of them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use regrant::{SystemClocks, TimeSource as _};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a token request. It says whether it was asked for, that is whether any of it can
/// have left, and gives nothing once it is too late to send it.
#[derive(Debug)]
pub(crate) struct Watched {
    bytes: Option<Bytes>,
    /// By the steady clock, which counts suspend: a process that was stopped while it connected
    /// sends nothing that is old.
    until: Duration,
    taken: Arc<AtomicBool>,
}

/// The connection took so long that the attempt was over before the request could be sent.
#[derive(Debug, thiserror::Error)]
#[error("it is too late to send the request")]
struct TooLate;

impl Watched {
    pub(crate) fn new(bytes: Bytes, until: Duration) -> (Self, Arc<AtomicBool>) {
        let taken = Arc::new(AtomicBool::new(false));
        (Self { bytes: Some(bytes), until, taken: Arc::clone(&taken) }, taken)
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.bytes.is_some() && SystemClocks.steady() >= self.until {
            return Poll::Ready(Some(Err(TooLate.into())));
        }
        let bytes = self.bytes.take();
        if bytes.is_some() {
            self.taken.store(true, Ordering::Release);
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// A body whose beginning was read already, given back whole.
#[derive(Debug)]
pub(crate) struct Replayed {
    read: Option<Bytes>,
    rest: Rest,
}

/// What follows on the part that was read.
#[derive(Debug)]
pub(crate) enum Rest {
    Nothing,
    Body(reqwest::Body),
    /// Reading ended in this.
    Broken(Option<BoxError>),
}

impl Replayed {
    pub(crate) fn new(read: Bytes, rest: Rest) -> Self {
        Self { read: Some(read).filter(|read| !read.is_empty()), rest }
    }
}

impl Body for Replayed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(read) = self.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        match &mut self.rest {
            Rest::Nothing => Poll::Ready(None),
            Rest::Body(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Rest::Broken(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.as_ref().map_or(0, |read| read.len() as u64);
        let rest = match &self.rest {
            Rest::Nothing => SizeHint::with_exact(0),
            Rest::Body(body) => body.size_hint(),
            Rest::Broken(_) => SizeHint::default(),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}
