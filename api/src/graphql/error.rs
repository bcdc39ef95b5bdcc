//! Errors at the top level of an answer: `extensions.code` for machines, a sentence for people, never internals.

use std::error::Error as StdError;

use async_graphql::{Error, ErrorExtensions};
use ledger_core::faults;
use projections::ProjectionError;

use crate::auth::Denied;

/// The codes; an answer has no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorCode {
    /// No token.
    Unauthenticated,
    /// The token lacks a scope.
    Forbidden,
    /// The query or one of its arguments is wrong.
    BadUserInput,
    /// The read models did not reach `minPosition` in time: ask again.
    PositionNotReached,
    /// Too much is going on: ask again.
    Unavailable,
    /// Our fault; the cause is in our log.
    Internal,
}

impl ErrorCode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            ErrorCode::Unauthenticated => "UNAUTHENTICATED",
            ErrorCode::Forbidden => "FORBIDDEN",
            ErrorCode::BadUserInput => "BAD_USER_INPUT",
            ErrorCode::PositionNotReached => "POSITION_NOT_REACHED",
            ErrorCode::Unavailable => "UNAVAILABLE",
            ErrorCode::Internal => "INTERNAL",
        }
    }
}

/// A refusal with this code.
pub(super) fn refuse(code: ErrorCode, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code.as_str()))
}

/// An argument that cannot be used. The message names it and never repeats it.
pub(super) fn bad_input(message: impl Into<String>) -> Error {
    refuse(ErrorCode::BadUserInput, message)
}

pub(super) fn denied(denied: Denied) -> Error {
    let code = match denied {
        Denied::Unauthenticated => ErrorCode::Unauthenticated,
        Denied::MissingScope(_) => ErrorCode::Forbidden,
    };
    refuse(code, denied.to_string())
}

/// Our fault: told here, once however often it is met; the caller learns nothing of the cause.
pub(super) fn fault(error: &(dyn StdError + 'static)) -> Error {
    faults::error("queries fail", &error.to_string(), error);
    refuse(ErrorCode::Internal, "an internal fault occurred")
}

const NOT_ANSWERED: &str = "queries cannot be answered just now";

/// Read models were read.
pub(super) fn answered() {
    faults::over(NOT_ANSWERED);
}

pub(super) fn read_fault(error: &ProjectionError) -> Error {
    if error.transient() {
        faults::warn(NOT_ANSWERED, "", error);
        refuse(ErrorCode::Unavailable, "the query could not be answered just now")
    } else {
        fault(error)
    }
}

/// Something that the read models promise to have is not there.
#[derive(Debug, thiserror::Error)]
#[error("the read models have no {0}")]
pub(super) struct Missing(pub(super) &'static str);

/// The row, or the fault that there is none.
pub(super) fn present<T>(found: Option<T>, what: &'static str) -> Result<T, Error> {
    found.ok_or_else(|| fault(&Missing(what)))
}
