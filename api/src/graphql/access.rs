//! Who may see what, and from when. Someone else's account is not there; an auditor sees all, under
//! pseudonyms.

use std::time::Duration;

use async_graphql::{Context, Error};
use ledger_core::ids::AccountId;
use ledger_core::log::Position;
use projections::runner::WaitError;
use tokio::time::Instant;

use super::error::{ErrorCode, answered, bad_input, denied, read_fault, refuse};
use super::load::Loaders;
use crate::ApiState;
use crate::auth::{Caller, Denied, Scope};

/// How long a read waits for the position it asked for.
const POSITION_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at read models that have gone back.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

// The http handlers give every request a caller and loaders, the schema has the state.

pub(super) fn state<'a>(ctx: &Context<'a>) -> &'a ApiState {
    ctx.data_unchecked()
}

pub(super) fn caller<'a>(ctx: &Context<'a>) -> &'a Caller {
    ctx.data_unchecked()
}

pub(super) fn loaders<'a>(ctx: &Context<'a>) -> &'a Loaders {
    ctx.data_unchecked()
}

/// Either of the scopes that read.
pub(super) fn reader<'a>(ctx: &Context<'a>) -> Result<&'a Caller, Error> {
    let caller = caller(ctx);
    match caller.require(Scope::RewardsRead) {
        Ok(_) => Ok(caller),
        Err(_) if caller.has(Scope::AuditRead) => Ok(caller),
        Err(why) => Err(denied(why)),
    }
}

/// Whoever may see campaigns: the scopes that read, and the one that writes them.
pub(super) fn campaign_reader(ctx: &Context<'_>) -> Result<(), Error> {
    if staff(ctx) { Ok(()) } else { reader(ctx).map(|_| ()) }
}

/// Whether the caller may see campaigns that have not started, and what campaigns have cost.
pub(super) fn staff(ctx: &Context<'_>) -> bool {
    let caller = caller(ctx);
    caller.has(Scope::AuditRead) || caller.has(Scope::CampaignsWrite)
}

/// Whose lines and rewards the caller may look up: `Some(None)` is everybody's, `None` nobody's.
#[expect(clippy::option_option, reason = "three answers")]
pub(super) fn owner(ctx: &Context<'_>) -> Option<Option<AccountId>> {
    let caller = caller(ctx);
    if caller.has(Scope::AuditRead) { Some(None) } else { caller.own_account().cloned().map(Some) }
}

/// Auditors only.
pub(super) fn auditor(ctx: &Context<'_>) -> Result<(), Error> {
    caller(ctx).require(Scope::AuditRead).map(|_| ()).map_err(denied)
}

/// Runs queries of the read models on a thread that may block.
pub(super) async fn read<T, F>(ctx: &Context<'_>, query: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&projections::Connection) -> Result<T, projections::ProjectionError> + Send + 'static,
{
    let read = state(ctx).read.read(query).await.map_err(|error| read_fault(&error))?;
    answered();
    Ok(read)
}

/// Reads a position of ours.
pub(super) fn position(argument: &str, token: &str) -> Result<Position, Error> {
    token.parse().map_err(|_| bad_input(format!("{argument} is no position of this ledger")))
}

/// The same for an answer that has seen at least `position`, which is waited for, for a bounded time.
///
/// What was said to be seen is not enough: a crash of the read models' database may take them back. So their own
/// position is read together with the answer.
pub(super) async fn read_since<T, F>(ctx: &Context<'_>, position: Position, query: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&projections::Connection) -> Result<T, projections::ProjectionError> + Clone + Send + 'static,
{
    let refused = |error: WaitError| refuse(ErrorCode::PositionNotReached, error.to_string());
    let deadline = Instant::now() + POSITION_PATIENCE;
    loop {
        let patience = deadline.saturating_duration_since(Instant::now());
        state(ctx).progress.wait_for(position, patience).await.map_err(refused)?;
        let query = query.clone();
        let answer = read(ctx, move |conn| {
            let at = projections::position(conn)?;
            if at < position { Ok(Err(at)) } else { query(conn).map(Ok) }
        });
        match answer.await? {
            Ok(answer) => return Ok(answer),
            Err(at) if Instant::now() >= deadline => return Err(refused(WaitError::Behind(at))),
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// The denial of a caller who has no account of his own to see.
pub(super) fn no_own_account(caller: &Caller) -> Error {
    match caller.require(Scope::RewardsRead) {
        Err(Denied::Unauthenticated) => denied(Denied::Unauthenticated),
        Ok(_) | Err(Denied::MissingScope(_)) => {
            bad_input("accountId is required: the token names no account of its own")
        }
    }
}
