//! What the bearer of a token may cost us: so much work per second, with some saved up, and so many
//! requests at once.
//!
//! A request is paid for once it is answered, by how long it took and how much it answered: who has
//! overdrawn waits until he is in credit again. Transactions are not counted here, since their own
//! queue bounds them. Nobody without a valid token has an allowance, so nobody can crowd out
//! others' from the bounded memory of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::HttpBody as _;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hashlink::LruCache;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ApiState;
use crate::auth::Caller;
use crate::problem::Problem;

/// The bounds of each token's bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Points per second: 1 for a request, 1 for each 10 ms it takes, 1 for each KiB of its answer.
    pub cost_per_second: u32,
    /// Points that may be saved up.
    pub cost_burst: u32,
    /// Requests under way, those that wait for a position among them.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { cost_per_second: 2_000, cost_burst: 20_000, at_once: 64 }
    }
}

/// Bearers remembered; the one not seen for longest starts anew.
const BEARERS_MAX: usize = 65_536;
/// Time that costs one point.
const POINT: Duration = Duration::from_millis(10);
/// Bytes of an answer that cost one point.
const POINT_BYTES: u64 = 1024;

/// All bearers' allowances.
pub struct Allowances {
    limits: Limits,
    known: Mutex<LruCache<[u8; 32], Account>>,
}

/// One bearer's.
struct Account {
    /// Thousandths of points; below zero once overdrawn.
    left: i64,
    since: Instant,
    under_way: Arc<Semaphore>,
}

/// Why a request is refused: to come back after so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Overdrawn(Duration);

impl Allowances {
    /// Full ones for everybody.
    pub fn new(limits: Limits) -> Allowances {
        Allowances { limits, known: Mutex::new(LruCache::new(BEARERS_MAX)) }
    }

    /// Lets a request begin, until the permit is dropped.
    fn begin(&self, bearer: [u8; 32], now: Instant) -> Result<OwnedSemaphorePermit, Overdrawn> {
        self.with(bearer, now, |account, limits| {
            if account.left < 0 {
                let rate = u64::from(limits.cost_per_second.max(1));
                // Thousandths of points by points per second are milliseconds.
                return Err(Overdrawn(Duration::from_millis(account.left.unsigned_abs().div_ceil(rate))));
            }
            let permit = Arc::clone(&account.under_way).try_acquire_owned();
            permit.map_err(|_| Overdrawn(Duration::from_secs(1)))
        })
    }

    /// Pays for a request.
    fn pay(&self, bearer: [u8; 32], took: Duration, bytes: u64, now: Instant) {
        let points = 1
            + u64::try_from(took.as_millis() / POINT.as_millis()).unwrap_or(u64::MAX / 2)
            + bytes / POINT_BYTES;
        let cost = i64::try_from(points.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.with(bearer, now, |account, limits| {
            // A debt beyond what may be saved up would outlast what it was made for.
            account.left = account.left.saturating_sub(cost).max(-full(limits));
        });
    }

    fn with<T>(&self, bearer: [u8; 32], now: Instant, then: impl FnOnce(&mut Account, &Limits) -> T) -> T {
        // Nothing is left half done under this lock.
        let mut known = self.known.lock();
        if known.len() >= BEARERS_MAX && !known.contains_key(&bearer) {
            known.remove_lru();
        }
        let account = known.entry(bearer).or_insert_with(|| Account {
            left: full(&self.limits),
            since: now,
            under_way: Arc::new(Semaphore::new(self.limits.at_once)),
        });
        let earned = now.saturating_duration_since(account.since).as_millis();
        let earned = earned.saturating_mul(u128::from(self.limits.cost_per_second));
        let earned = i64::try_from(earned).unwrap_or(i64::MAX);
        account.left = account.left.saturating_add(earned).min(full(&self.limits));
        account.since = now;
        then(account, &self.limits)
    }
}

/// A full allowance, in thousandths of points.
fn full(limits: &Limits) -> i64 {
    i64::from(limits.cost_burst) * 1_000
}

/// Around every request that may cost much: finds out who asks, and whether he has something left.
pub async fn limit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match Caller::from_request_parts(&mut parts, &state).await {
        Ok(caller) => caller,
        Err(refused) => return refused.into_response(),
    };
    let bearer = caller.subject().map(|subject| digest(&SHA256, subject.as_bytes())).or_else(|| {
        let token = parts.headers.get(header::AUTHORIZATION)?;
        caller.is_known().then(|| digest(&SHA256, token.as_bytes()))
    });
    // The handler need not check the token once more.
    parts.extensions.insert(caller);
    let request = Request::from_parts(parts, body);
    let Some(bearer) = bearer else { return next.run(request).await };
    let bearer: [u8; 32] = bearer.as_ref().try_into().expect("SHA-256 has 32 bytes");

    let began = Instant::now();
    let permit = match state.allowances.begin(bearer, began) {
        Ok(permit) => permit,
        Err(Overdrawn(wait)) => {
            metrics::counter!("rewardhub_requests_refused_total", "reason" => "cost").increment(1);
            let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
            let detail = "this token's bearer asks for too much at once; come back later";
            return Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds).into_response();
        }
    };
    // Paid also by whoever goes away before he is answered.
    let mut bill = Bill { state: &state, bearer, began, bytes: 0 };
    let response = next.run(request).await;
    bill.bytes = response.body().size_hint().lower();
    drop((bill, permit));
    response
}

struct Bill<'a> {
    state: &'a ApiState,
    bearer: [u8; 32],
    began: Instant,
    bytes: u64,
}

impl Drop for Bill<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.state.allowances.pay(self.bearer, now - self.began, self.bytes, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { cost_per_second: 10, cost_burst: 20, at_once: 2 };
    const ONE: [u8; 32] = [1; 32];
    const OTHER: [u8; 32] = [2; 32];

    fn wait(allowances: &Allowances, bearer: [u8; 32], now: Instant) -> Option<Duration> {
        allowances.begin(bearer, now).err().map(|Overdrawn(wait)| wait)
    }

    #[test]
    fn who_has_spent_what_was_saved_up_waits_until_he_is_in_credit() {
        let (allowances, now) = (Allowances::new(LIMITS), Instant::now());
        let nothing = Duration::ZERO;
        for _ in 0..20 {
            assert_eq!(wait(&allowances, ONE, now), None);
            allowances.pay(ONE, nothing, 0, now);
        }
        // Nothing left is not overdrawn yet.
        assert_eq!(wait(&allowances, ONE, now), None);
        allowances.pay(ONE, nothing, 0, now);
        assert_eq!(wait(&allowances, ONE, now), Some(Duration::from_millis(100)));
        assert_eq!(wait(&allowances, ONE, now + Duration::from_millis(99)), Some(Duration::from_millis(1)));
        assert_eq!(wait(&allowances, ONE, now + Duration::from_millis(100)), None);
        assert_eq!(wait(&allowances, OTHER, now), None, "others are not concerned");
    }

    #[test]
    fn time_and_bytes_are_paid_for_and_a_debt_is_bounded() {
        let (allowances, now) = (Allowances::new(LIMITS), Instant::now());
        // 1 for the request, 10 for its time, 10 for its answer.
        allowances.pay(ONE, Duration::from_millis(100), 10 * 1024, now);
        assert_eq!(wait(&allowances, ONE, now), Some(Duration::from_millis(100)));
        allowances.pay(ONE, Duration::from_hours(1), u64::MAX / 4, now);
        assert_eq!(wait(&allowances, ONE, now), Some(Duration::from_secs(2)));
        let later = now + Duration::from_hours(1);
        for _ in 0..21 {
            allowances.pay(ONE, Duration::ZERO, 0, later);
        }
        assert!(wait(&allowances, ONE, later).is_some(), "no more is saved up than may be");
    }

    #[test]
    fn so_many_requests_are_under_way_at_once_and_no_more() {
        let (allowances, now) = (Allowances::new(LIMITS), Instant::now());
        let first = allowances.begin(ONE, now).unwrap();
        let _second = allowances.begin(ONE, now).unwrap();
        assert!(wait(&allowances, ONE, now).is_some());
        assert_eq!(wait(&allowances, OTHER, now), None);
        drop(first);
        assert_eq!(wait(&allowances, ONE, now), None);
    }

    #[test]
    fn the_memory_of_bearers_is_bounded() {
        let (allowances, now) = (Allowances::new(LIMITS), Instant::now());
        for n in 0..=BEARERS_MAX {
            let mut bearer = [0; 32];
            bearer[..8].copy_from_slice(&n.to_be_bytes());
            allowances.pay(bearer, Duration::ZERO, 0, now);
        }
        assert_eq!(allowances.known.lock().len(), BEARERS_MAX);
    }
}
