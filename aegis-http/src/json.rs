//! Answers as JSON.

use std::{error::Error, iter};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::error::AppError;

/// An answer as JSON. Written into a plain vector: axum's own goes by `BytesMut`, where the many small
/// pieces of a large answer take half again as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => as_json(text.into()),
            Err(error) => AppError::internal(error).into_response(),
        }
    }
}

fn as_json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// How many items of a long list are written at a time: so many take less than a millisecond, for
/// which everyone else can wait.
const AT_A_TIME: usize = 128;

/// An answer with a list that can be long: `frame` is the answer whose `list` is still empty, and which
/// has no other list of that name before it; `write` makes an item's body.
///
/// What is long is written while it is sent, a piece at a time, so that it never lies in memory whole and
/// holds up nobody else's request.
pub(crate) fn long<T, B, W>(frame: &impl Serialize, list: &str, items: Vec<T>, write: W) -> Response
where
    T: Send + 'static,
    B: Serialize + 'static,
    W: Fn(&T) -> B + Send + 'static,
{
    let is_long = items.len() > AT_A_TIME;
    let pieces = match cut(frame, list) {
        Ok((head, tail)) => iter::once(Ok(head)).chain(written(items, write)).chain(iter::once(Ok(tail))),
        Err(error) => return AppError::internal(error).into_response(),
    };
    if is_long {
        let pieces = stream::iter(pieces).then(async |piece| {
            // A fast reader would have all of it written in one go.
            tokio::task::yield_now().await;
            piece
        });
        let told = |error: &_| tracing::error!(%error, "a list is sent in part: an item can't be written");
        return as_json(Body::from_stream(pieces.inspect_err(told)));
    }
    match pieces.collect::<serde_json::Result<Vec<_>>>() {
        Ok(pieces) => as_json(pieces.concat().into()),
        Err(error) => AppError::internal(error).into_response(),
    }
}

/// The text of a frame up to where the items of its empty list belong, and from there on.
fn cut(frame: &impl Serialize, list: &str) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let mut head = serde_json::to_string(frame)?;
    let empty = format!("\"{list}\":[]");
    let place = head.find(&empty).ok_or_else(|| format!("the answer has no empty list {list}"))?;
    let tail = head.split_off(place + empty.len() - 1);
    Ok((head.into_bytes(), tail.into_bytes()))
}

/// The items of a list, a few at a time.
fn written<T, B, W>(items: Vec<T>, write: W) -> impl Iterator<Item = serde_json::Result<Vec<u8>>>
where
    B: Serialize,
    W: Fn(&T) -> B,
{
    let mut items = items.into_iter().enumerate().peekable();
    iter::from_fn(move || {
        items.peek()?;
        let mut piece = Vec::new();
        for (index, item) in items.by_ref().take(AT_A_TIME) {
            if index > 0 {
                piece.push(b',');
            }
            if let Err(error) = serde_json::to_writer(&mut piece, &write(&item)) {
                return Some(Err(error));
            }
        }
        Some(Ok(piece))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};

    use super::*;

    #[derive(Serialize)]
    struct Answer {
        name: &'static str,
        numbers: Vec<usize>,
        total: usize,
    }

    async fn bytes(response: Response) -> Bytes {
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        to_bytes(response.into_body(), usize::MAX).await.unwrap()
    }

    #[tokio::test]
    async fn a_list_of_any_length_reads_as_if_written_at_once() {
        // A text that looks like the list's place is none.
        let frame = || Answer { name: r#"},"numbers":[],"#, numbers: Vec::new(), total: 7 };
        for length in [0, 1, 2, AT_A_TIME, AT_A_TIME + 1, 3 * AT_A_TIME] {
            let numbers: Vec<_> = (0..length).collect();
            let at_once = bytes(Json(Answer { numbers: numbers.clone(), ..frame() }).into_response()).await;
            let in_pieces = bytes(long(&frame(), "numbers", numbers, |number| *number)).await;
            assert_eq!(in_pieces, at_once, "{length}");
        }
    }

    #[tokio::test]
    async fn a_frame_without_the_list_is_a_fault_of_ours() {
        let frame = Answer { name: "full", numbers: vec![1], total: 1 };
        let response = long(&frame, "numbers", vec![2], |number| *number);
        assert_eq!(response.status(), axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    }
}
