//! The page at `/`, for people: the files of `page/`, which are part of the program.

use std::fmt::Write;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

/// Scripts, styles, pictures and answers come from this server alone, and nobody shows the page in theirs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    content: &'static str,
}

/// Defines the files of the folder `page`, each at `/page/NAME`.
macro_rules! files {
    ($($name:literal: $kind:ident,)*) => {
        &[$(File { path: concat!("/page/", $name), kind: $kind, content: include_str!(concat!("page/", $name)) },)*]
    };
}

const INDEX: File = File { path: "/", kind: HTML, content: include_str!("page/index.html") };

const FILES: &[File] = files! {
    "style.css": CSS,
    "icon.svg": PICTURE,
    "main.js": SCRIPT,
    "api.js": SCRIPT,
    "dialog.js": SCRIPT,
    "dom.js": SCRIPT,
    "jobs.js": SCRIPT,
    "live.js": SCRIPT,
    "notice.js": SCRIPT,
    "plan.js": SCRIPT,
    "policies.js": SCRIPT,
    "policy.js": SCRIPT,
    "records.js": SCRIPT,
    "restore.js": SCRIPT,
    "standing.js": SCRIPT,
    "timeline.js": SCRIPT,
    "words.js": SCRIPT,
};

/// The page, to be merged with the API that it asks. There is nothing secret in it: everyone may read it.
pub(crate) fn router() -> Router {
    std::iter::once(&INDEX).chain(FILES).fold(Router::new(), |router, file| {
        let tag = tag(file.content);
        router.route(file.path, get(async move |headers: HeaderMap| answer(file, &tag, &headers)))
    })
}

/// What a browser names the version of a file by that it has.
fn tag(content: &str) -> String {
    let digest = Sha256::digest(content);
    let mut tag = String::from("\"");
    for byte in digest.iter().take(16) {
        // Writing to a string can't fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}

fn answer(file: &File, tag: &str, asked: &HeaderMap) -> Response {
    let has = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response =
        if has { StatusCode::NOT_MODIFIED.into_response() } else { file.content.into_response() };
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, file.kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Kept, and asked for again each time: a new server has new files.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
