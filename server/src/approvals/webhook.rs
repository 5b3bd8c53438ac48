//! Tells the operator's own address of each new request. It never delays a call, and has no values of arguments.

use super::Record;
use crate::upstream::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pauses before each attempt.
const ATTEMPTS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];
/// Most time of one attempt.
const WITHIN: Duration = Duration::from_secs(10);

/// Seconds since 1970, which the signature covers, so that an old request cannot be sent again as a new one.
const TIMESTAMP: &str = "x-exuvia-timestamp";
const SIGNATURE: &str = "x-exuvia-signature";

#[derive(Clone)]
pub(crate) struct Webhook {
    url: url::Url,
    secret: Secret,
    client: reqwest::Client,
}

impl Webhook {
    pub(crate) fn new(url: url::Url, secret: Secret) -> reqwest::Result<Self> {
        // Where it leads is the operator's to say, not the receiver's.
        let client = crate::tls::builder().redirect(reqwest::redirect::Policy::none()).timeout(WITHIN).build()?;
        Ok(Self { url, secret, client })
    }

    /// Sends, and tries again, in the background.
    pub(super) fn tell(&self, record: &Record) {
        let names: Vec<_> = serde_json::from_str::<serde_json::Value>(record.arguments.get())
            .ok()
            .and_then(|arguments| Some(arguments.as_object()?.keys().cloned().collect()))
            .unwrap_or_default();
        let body = json!({ "event": "approval_requested", "approval": record.view(false), "argument_names": names });
        let (webhook, body, id) = (self.clone(), body.to_string(), record.id);
        tokio::spawn(async move {
            let mut why = String::new();
            for pause in ATTEMPTS {
                tokio::time::sleep(pause).await;
                match webhook.send(&body).await {
                    Ok(()) => return,
                    Err(error) => why = error,
                }
            }
            tracing::warn!(approval = %id, why, "the webhook could not be told of an approval");
        });
    }

    async fn send(&self, body: &str) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = self.client.post(self.url.clone()).header("content-type", "application/json");
        let request = request.header(TIMESTAMP, now).header(SIGNATURE, signature(self.secret.expose(), now, body));
        // The address may have a secret of its own.
        let answer = request.body(body.to_owned()).send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("HTTP status {}", answer.status())) }
    }
}

/// `sha256=` and the HMAC-SHA-256 of the timestamp, a full stop and the body.
fn signature(secret: &str, timestamp: u64, body: &str) -> String {
    // A key of any length is valid, so this does not fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{timestamp}.{body}").as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf '1.{}' | openssl dgst -sha256 -hmac secret` prints it.
    #[test]
    fn a_signature_is_what_other_programs_compute() {
        let expected = "sha256=1122767b193110cfec322b6f199b599edbf608ed087f2d27afb0b97d99523908";
        assert_eq!(signature("secret", 1, "{}"), expected);
    }
}
