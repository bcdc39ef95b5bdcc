//! How much one answer may take, counted while it is made: every object before its fields are, every value once it is
//! there. Lists within lists, of the schema or of ours, end here, whatever they multiply to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextResolve, NextValidation, ResolveInfo,
};
use async_graphql::{ServerError, ServerResult, ValidationResult, Value};
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::size::Measured;

/// Fields below fields; enough for an account's draws' campaigns' epochs, and for what GraphiQL asks.
const DEPTH_MAX: usize = 15;
/// Fields in an answer at most, counting every row of every page as if pages were full.
const FIELDS_MAX: usize = 10_000;
/// Bytes of an answer.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What an error takes, with its path.
const ERROR_BYTES: usize = 1_024;

/// What is left of one answer.
pub(super) struct Budget {
    left: AtomicUsize,
    over: Notify,
    turn: Mutex<()>,
    measured: Measured,
}

impl Budget {
    /// For a document that has been measured.
    pub(super) fn new(measured: Measured) -> Budget {
        Budget {
            left: AtomicUsize::new(ANSWER_BYTES_MAX),
            over: Notify::new(),
            turn: Mutex::new(()),
            measured,
        }
    }

    /// Takes some. Once there is too little it never returns, so that nothing more is made; [`Budget::over`] does.
    pub(super) async fn charge(&self, bytes: usize) {
        let take = |left: usize| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            self.left.store(0, Ordering::Relaxed);
            self.over.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// For what one request does once at a time, however many of its fields ask for it.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Returns once too much was asked for.
    pub(super) async fn over(&self) {
        self.over.notified().await;
    }
}

/// Bounds what is asked for, and charges each request's [`Budget`], which stands in its data.
pub(super) struct BoundedAnswers;

impl ExtensionFactory for BoundedAnswers {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(BoundedAnswers)
    }
}

#[async_trait::async_trait]
impl Extension for BoundedAnswers {
    /// The library has these bounds too, and names none of them.
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let asked = next.run(ctx).await?;
        let (fields, depth) = (asked.complexity, asked.depth);
        let why = if fields > FIELDS_MAX {
            format!(
                "the answer could have {fields} fields with full pages, and at most {FIELDS_MAX} are answered: ask for \
                 fewer rows (first) or fields"
            )
        } else if depth > DEPTH_MAX {
            format!("the query has {depth} fields within each other, and at most {DEPTH_MAX} are answered")
        } else {
            return Ok(asked);
        };
        Err(vec![ServerError::new(why, None)])
    }

    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let budget = ctx.data_unchecked::<Arc<Budget>>();
        // What never waits would hold its thread, and the time limit could not end it.
        tokio::task::consume_budget().await;
        let is_leaf = info.field.selection_set.node.items.is_empty();
        let name = info.alias.unwrap_or(info.name).len();
        budget.charge(budget.measured.object_bytes(info.field).saturating_add(name)).await;
        let answer = next.run(ctx, info).await;
        match &answer {
            Ok(Some(value)) if is_leaf => budget.charge(json_bytes(value)).await,
            Ok(_) => {}
            Err(_) => budget.charge(ERROR_BYTES).await,
        }
        answer
    }
}

/// At least as many as the value has in JSON.
fn json_bytes(value: &Value) -> usize {
    let (mut bytes, mut stack) = (0, vec![value]);
    while let Some(value) = stack.pop() {
        bytes += match value {
            Value::Null | Value::Boolean(_) => 6,
            // The longest is -1.2345678901234567e-308.
            Value::Number(_) => 25,
            Value::String(text) => text_bytes(text),
            Value::Enum(name) => name.len() + 3,
            Value::Binary(bytes) => 5 * bytes.len() + 3,
            Value::List(values) => {
                stack.extend(values);
                3
            }
            Value::Object(fields) => {
                stack.extend(fields.values());
                3 + fields.keys().map(|name| text_bytes(name) + 1).sum::<usize>()
            }
        };
    }
    bytes
}

fn text_bytes(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        0..0x20 | 0x7f => 6,
        _ => 1,
    });
    escaped.sum::<usize>() + 3
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;

    fn budget() -> Budget {
        Budget::new(super::super::size::measure(&parse_query("{ a }").unwrap()).unwrap())
    }

    #[test]
    fn a_budget_can_be_used_up_and_not_overdrawn() {
        let budget = budget();
        assert_eq!(budget.charge(ANSWER_BYTES_MAX - 1).now_or_never(), Some(()));
        assert_eq!(budget.charge(1).now_or_never(), Some(()));
        assert_eq!(budget.over().now_or_never(), None);
        assert_eq!(budget.charge(1).now_or_never(), None);
        assert_eq!(budget.over().now_or_never(), Some(()));
        assert_eq!(budget.charge(1).now_or_never(), None, "nothing more");
    }

    #[test]
    fn a_value_takes_at_least_its_bytes_in_json() {
        for json in [
            json!(null),
            json!("\u{1}\"\\\n\u{7f}\u{e9}\u{1f600}"),
            json!([1, -1.234_567_890_123_456_7e-308, u64::MAX, true]),
            json!({ "a\"": { "b": [[], {}, "x"] }, "c": null }),
        ] {
            let bytes = json.to_string().len();
            let counted = json_bytes(&Value::from_json(json.clone()).unwrap());
            assert!(bytes <= counted && counted <= bytes + 64, "{json}: {bytes} {counted}");
        }
    }
}
