//! What the XML interface of GCS answers to the requests that our client makes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::{net::TcpListener, task::JoinHandle};

const MODIFIED: &str = "Fri, 06 Feb 2026 16:00:00 GMT";

/// A server of one bucket, stopped when it is dropped.
pub(crate) struct FakeGcs {
    url: String,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    writes: u64,
    /// As clones do that do not know of conditions.
    ignores_conditions: bool,
}

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    generation: u64,
}

type Shared = Arc<Mutex<Bucket>>;

impl FakeGcs {
    pub(super) async fn start() -> Self {
        Self::serve(Bucket::default()).await
    }

    /// A server that writes whatever the conditions say.
    pub(crate) async fn without_conditions() -> Self {
        Self::serve(Bucket { ignores_conditions: true, ..Bucket::default() }).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server is a task beside the test")]
    async fn serve(bucket: Bucket) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/{bucket}", get(list))
            .route("/{bucket}/", get(list))
            .route("/{bucket}/{*key}", any(object))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Shared::new(Mutex::new(bucket)));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for FakeGcs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Bucket> {
    shared.lock().unwrap()
}

async fn object(
    State(shared): State<Shared>,
    Path((_, key)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut bucket = lock(&shared);
    match method {
        Method::PUT => bucket.put(key, body, &headers),
        Method::GET | Method::HEAD => match bucket.objects.get(&key) {
            Some(found) => found.answer(&headers, &method),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::DELETE => match bucket.objects.remove(&key) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

impl Bucket {
    fn put(&mut self, key: String, bytes: Bytes, headers: &HeaderMap) -> Response {
        let current = self.objects.get(&key).map_or(0, |object| object.generation);
        let expected = headers.get("x-goog-if-generation-match").map(|value| value.to_str().unwrap().parse());
        if !self.ignores_conditions && expected.is_some_and(|expected| expected != Ok(current)) {
            return StatusCode::PRECONDITION_FAILED.into_response();
        }
        self.writes += 1;
        let object = Object { bytes, generation: self.writes };
        let answer = (StatusCode::OK, object.headers()).into_response();
        self.objects.insert(key, object);
        answer
    }
}

impl Object {
    fn headers(&self) -> HeaderMap {
        let generation = HeaderValue::from(self.generation);
        let tag = HeaderValue::from_str(&format!("\"{}\"", self.generation)).unwrap();
        HeaderMap::from_iter([
            (header::ETAG, tag),
            (header::LAST_MODIFIED, HeaderValue::from_static(MODIFIED)),
            (header::HeaderName::from_static("x-goog-generation"), generation),
        ])
    }

    fn answer(&self, request: &HeaderMap, method: &Method) -> Response {
        let mut headers = self.headers();
        let size = self.bytes.len();
        let Some(range) = request.get(header::RANGE) else {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
            let body = if method == Method::HEAD { Bytes::new() } else { self.bytes.clone() };
            return (headers, body).into_response();
        };
        let (start, last) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (start, last): (usize, usize) = (start.parse().unwrap(), last.parse().unwrap());
        if start >= size {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        let last = last.min(size - 1);
        let content = format!("bytes {start}-{last}/{size}");
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&content).unwrap());
        (StatusCode::PARTIAL_CONTENT, headers, self.bytes.slice(start..=last)).into_response()
    }
}

/// Five to a page, so that the client has to turn pages.
const PAGE: usize = 5;

async fn list(State(shared): State<Shared>, Query(query): Query<HashMap<String, String>>) -> String {
    let bucket = lock(&shared);
    let prefix = query.get("prefix").map_or("", String::as_str);
    let delimiter = query.get("delimiter");
    let after = query.get("continuation-token").or(query.get("start-after")).map_or("", String::as_str);
    let (mut folders, mut xml, mut count, mut last) = (BTreeSet::new(), String::new(), 0, None);
    for (key, object) in bucket.objects.iter().filter(|(key, _)| key.starts_with(prefix) && ***key > *after) {
        if count == PAGE {
            break;
        }
        last = Some(key);
        let folder = delimiter.and_then(|d| key[prefix.len()..].split_once(d.as_str()).map(|(name, _)| name));
        match folder {
            Some(folder) => {
                folders.insert(format!("{prefix}{folder}/"));
            }
            None => {
                count += 1;
                write!(
                    xml,
                    "<Contents><Key>{}</Key><LastModified>2026-02-06T16:00:00Z</LastModified>\
                     <Size>{}</Size><ETag>\"{}\"</ETag></Contents>",
                    escape(key),
                    object.bytes.len(),
                    object.generation
                )
                .unwrap();
            }
        }
    }
    for folder in folders {
        write!(xml, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escape(&folder)).unwrap();
    }
    if let (PAGE, Some(last)) = (count, last) {
        write!(xml, "<NextContinuationToken>{}</NextContinuationToken>", escape(last)).unwrap();
    }
    format!("<ListBucketResult>{xml}</ListBucketResult>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
