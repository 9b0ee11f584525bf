//! Big answers go out compressed to whoever takes them so: the compliance of 10,000 policies is 7 MB as
//! it is.
//!
//! What an answer is compressed to tells something of what is in it, which serves those who can have an
//! answer repeated that holds a secret and a guess of theirs (BREACH). Nobody can have answers repeated
//! here: a token travels in a header that no foreign page makes a browser send, and without tokens foreign
//! origins are refused. All the same, what is handed out as a secret, tickets, is not compressed: it is
//! small, and small answers gain nothing.

use axum::{
    Router,
    http::{Extensions, HeaderMap, StatusCode, Version, header::ETAG},
};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, Predicate, predicate::SizeAbove},
};

/// Smaller answers, in bytes, go as they are.
const SMALL: u16 = 8 * 1024;

/// The router, with big answers compressed by zstd or gzip. What it does not answer with a body, sockets
/// among them, is left alone.
pub(crate) fn compressing(router: Router) -> Router {
    let layer = CompressionLayer::new().quality(CompressionLevel::Fastest);
    router.layer(layer.compress_when(SizeAbove::new(SMALL).and(is_unversioned)))
}

/// An ETag names one sequence of bytes, and clients send it back to name that.
fn is_unversioned(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(ETAG)
}
