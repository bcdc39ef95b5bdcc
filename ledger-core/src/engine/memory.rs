//! What the engine's bounded memory takes, beside its bounds, for people to see.

/// What a known transaction key takes, with its place in table and list.
pub const KNOWN_KEY_BYTES: usize = 160;
/// What a transaction that waits to be decided takes, with its details.
pub const QUEUED_BYTES: usize = 2_048;

/// Shows what a part of the memory takes and may take.
pub fn show_memory(part: &'static str, bytes: usize, max: usize) {
    metrics::gauge!("rewardhub_memory_bytes", "part" => part).set(float(bytes));
    metrics::gauge!("rewardhub_memory_max_bytes", "part" => part).set(float(max));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53 bytes")]
fn float(bytes: usize) -> f64 {
    bytes as f64
}
