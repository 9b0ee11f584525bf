//! The signature by which a receiver knows that we sent it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header `webhook-signature` of a message.
pub(crate) fn signature(secret: &SecretString, id: &str, seconds: u64, body: &str) -> String {
    let text = secret.expose_secret();
    let encoded = text.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = encoded.unwrap_or_else(|| text.as_bytes().to_vec());
    // A key of any length is one: `None` can't be.
    let mac = Hmac::<Sha256>::new_from_slice(&key).ok().map(|mut mac| {
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    });
    format!("v1,{}", mac.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn another_secret_id_time_or_body_is_another_signature() {
        let of =
            |secret: &str, id: &str, at, body: &str| signature(&SecretString::from(secret), id, at, body);
        let usual = of("secret", "1", 1, "{}");
        for other in [
            of("Secret", "1", 1, "{}"),
            of("secret", "2", 1, "{}"),
            of("secret", "1", 2, "{}"),
            of("secret", "1", 1, "[]"),
        ] {
            assert_ne!(other, usual);
        }
    }
}
