//! Personal details: sealed before they enter the loop, opened only by a resolver with the right scope.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An encrypted value in base64, as events and read models keep it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(std::sync::Arc<str>);

impl Sealed {
    /// Takes what an event or a table holds. Whether it opens is found out by opening it.
    pub fn from_text(text: impl Into<std::sync::Arc<str>>) -> Sealed {
        Sealed(text.into())
    }

    /// As events and read models store it.
    pub fn as_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

/// placeholder until the sealing branch lands
#[derive(Debug, thiserror::Error)]
#[error("seal")]
pub struct SealError;
