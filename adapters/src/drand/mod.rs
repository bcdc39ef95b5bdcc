//! drand's quicknet over HTTP: `GET {base}/{chain hash}/public/{round}`.
//!
//! Nothing is trusted: whoever asks checks the signature, so a server, or anyone in between, can at
//! most make a round late. Hence one source for each server, asked in turn. Answers are short, and
//! read only so far.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use ledger_core::draw::beacon::QUICKNET_CHAIN;
use ledger_core::ids::BeaconSignature;
use ledger_core::steps::ports::{BeaconSource, BeaconSourceError};
use serde::Deserialize;

/// Public servers.
pub const PUBLIC: [&str; 2] = ["https://api.drand.sh", "https://drand.cloudflare.com"];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For everything from the connection to the last byte.
const TIMEOUT: Duration = Duration::from_secs(8);
/// A round has about 300 bytes.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// One server.
pub struct DrandServer {
    /// Made when it is first needed: it reads the system's certificate authorities, and most
    /// ledgers ask nobody.
    client: OnceLock<reqwest::Client>,
    base: String,
}

/// What of an answer matters; its randomness follows from the signature.
#[derive(Deserialize)]
struct Round {
    round: u64,
    signature: BeaconSignature,
}

impl DrandServer {
    /// The server below `base`, such as `https://api.drand.sh`. Nothing is contacted before a round
    /// is asked for.
    pub fn new(base: &str) -> DrandServer {
        DrandServer { client: OnceLock::new(), base: base.trim_end_matches('/').into() }
    }

    fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // An answer from elsewhere than configured is none.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl fmt::Display for DrandServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

#[async_trait]
impl BeaconSource for DrandServer {
    async fn round(&self, round: u64) -> Result<Option<BeaconSignature>, BeaconSourceError> {
        let url = format!("{}/{QUICKNET_CHAIN}/public/{round}", self.base);
        let client = self.client().map_err(|error| failed(&error))?;
        let mut answer = client.get(url).send().await.map_err(|error| failed(&error))?;
        match answer.status().as_u16() {
            200 => {}
            // 404 and 425: what servers say of a round that is not there yet.
            404 | 425 => return Ok(None),
            status => return Err(BeaconSourceError(format!("it answered {status}"))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(BeaconSourceError("its answer is too long".into()));
            }
            body.extend_from_slice(&chunk);
        }
        let read: Round = serde_json::from_slice(&body)
            .map_err(|error| BeaconSourceError(format!("its answer is no round: {error}")))?;
        if read.round != round {
            return Err(BeaconSourceError(format!("it answered with round {}", read.round)));
        }
        Ok(Some(read.signature))
    }
}

/// With the causes: reqwest's own text leaves them out.
fn failed(error: &reqwest::Error) -> BeaconSourceError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    BeaconSourceError(text)
}

#[cfg(test)]
mod tests;
