//! Keeping web pages out of a server that asks nobody who they are.

use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
};

use super::Access;
use crate::error::{AppError, ErrorCode};

/// Refuses requests that name this machine otherwise than by loopback, or come from a page that is
/// not its own, where access is open: a page can make a browser send requests here, and by its own
/// domain's name point any name here, but can't choose what the browser says of both.
///
/// # Errors
/// `forbidden`.
pub(crate) fn refuse_strangers(access: &Access, request: &Request) -> Result<(), AppError> {
    if !matches!(access, Access::Open) || is_of_this_machine(request.headers(), request.uri()) {
        return Ok(());
    }
    let message = "this server asks nobody who they are, so it answers only to this machine by its \
                   loopback names: configure tokens to use it from elsewhere";
    Err(AppError::new(ErrorCode::Forbidden, message))
}

fn is_of_this_machine(headers: &HeaderMap, uri: &Uri) -> bool {
    let named = headers.get_all(header::HOST).iter();
    let hosts = named.map(|host| host.to_str().is_ok_and(is_loopback));
    let origins = headers.get_all(header::ORIGIN).iter();
    let origins = origins.map(|origin| {
        origin
            .to_str()
            .is_ok_and(|origin| origin.split_once("://").is_some_and(|(_, authority)| is_loopback(authority)))
    });
    hosts.chain(origins).all(|is_ours| is_ours) && uri.authority().is_none_or(|at| is_loopback(at.as_str()))
}

/// Whether `authority`, as `127.0.0.1:8082`, names this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_known_with_and_without_a_port() {
        for ours in ["localhost", "LOCALHOST:8082", "127.0.0.1", "127.0.0.1:8082", "[::1]:8082", "[::1]"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in
            ["", "example.com", "127.0.0.1.example.com", "localhost.example.com:80", "10.0.0.1", "[::2]"]
        {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
