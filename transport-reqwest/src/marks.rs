//! What a caller may tell about a request, and what it may be told with an answer.

use regrant::AccessError;
use regrant_core::protocol::ApiReading;

/// Put on a request (`RequestBuilder::with_extension`), it declares that the request must not be
/// sent a second time, though its body could be.
///
/// When the token is rejected, it is refreshed all the same, and the caller gets the rejection
/// with a [`RetryMark`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotReplayable;

/// Found in the extensions of a response: what the request was refused for is mended, and it was
/// not sent again because it could not or must not be. Sending it anew is worth it.
///
/// The token was rejected and has been refreshed; or the proof of possession was refused, and the
/// next one will carry what the answer said (RFC 9449 section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryMark;

/// Found in the extensions of every response to a request that carried a token: what the answer
/// says about it, by the provider's profile where the credential has one.
///
/// It tells a missing scope, a step-up and a rate limit apart, and what is wanted. Only regrant
/// asks for new tokens; what needs the user is the host's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// The reading of the caller's answer.
    pub reading: ApiReading<'static>,
}

/// Found in the extensions of a response: the API rejects fresh tokens too. Sending the request
/// anew is not worth it; audience, scope or account is wrong there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rejected {
    /// What the session says; it names the time of the next try.
    pub why: AccessError,
}
