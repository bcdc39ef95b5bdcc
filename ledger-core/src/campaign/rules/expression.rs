//! CEL: an expression over the facts of one line that must be true. Compiled once, evaluated
//! without a clock, without loops and without regular expressions: the same facts always give the
//! same answer.
//!
//! An expression that fails, whatever the reason, never lets a line pass. The
//! engine tells of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Env, ParseErrors, Program, Value};

use super::facts::CelFacts;
use super::types;
use crate::text::without_values;

/// Characters of an expression.
pub(super) const SOURCE_MAX: usize = 1_000;
/// Elements of a list.
const LIST_MAX: usize = 100;
/// Operators under operators.
const DEPTH_MAX: usize = 24;
/// The worst text of [`SOURCE_MAX`] characters that we found takes 32 MB, unoptimised. Only what is
/// touched is ever there.
const PARSER_STACK: usize = 256 << 20;

/// The operators and functions there are. No macros, no regular expressions, nothing that knows a
/// clock.
const CALLS: [&str; 20] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::IN,
    "startsWith",
    "endsWith",
    "contains",
];

/// CEL's own operators; its macros (`all`, `exists`, `exists_one`, `map`, `filter`, `has`) are
/// never added.
static ENV: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// A compiled expression.
pub(super) struct Expression {
    program: Program,
}

/// Why an expression cannot be used, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub(super) struct ExpressionError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
}

/// It failed: no answer, and the line does not pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed;

impl Expression {
    /// Compiles, and refuses whatever is not in [`CALLS`] or beyond the bounds.
    pub(super) fn compile(source: &str) -> Result<Expression, ExpressionError> {
        let refused = |message: String| Err(ExpressionError { line: 1, column: 1, message });
        if source.chars().count() > SOURCE_MAX {
            return refused(format!("an expression has at most {SOURCE_MAX} characters"));
        }
        // The parser recurses as deep as the text nests, before anybody can look how deep that is.
        guarded(|| Some(stacker::grow(PARSER_STACK, || Expression::parse(source))))
            .unwrap_or_else(|| refused("the parser fails on it".into()))
    }

    fn parse(source: &str) -> Result<Expression, ExpressionError> {
        let program = ENV.compile(source).map_err(|errors| first(&errors))?;
        let expression = Expression { program };
        look(expression.program.expression(), 0).map_err(|fault| expression.fault(source, fault))?;
        Ok(expression)
    }

    /// Whether it answers true or false of every line, and compares like with like. Asked of what
    /// enters the ledger.
    pub(super) fn check_types(&self, source: &str) -> Result<(), ExpressionError> {
        types::check(self.program.expression()).map_err(|fault| self.fault(source, fault))
    }

    fn fault(&self, source: &str, (id, message): types::Fault) -> ExpressionError {
        let offset = self.program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize);
        let (line, column) = place(source, offset);
        ExpressionError { line, column, message }
    }

    /// Whether it asks for this fact.
    pub(super) fn mentions(&self, fact: &str) -> bool {
        self.program.references().variables().contains(&fact)
    }

    /// Whether it is true of these facts.
    pub(super) fn is_true(&self, context: &Context<'_, '_>) -> Result<bool, Failed> {
        guarded(|| self.evaluate(context).ok()).ok_or(Failed)
    }

    /// Evaluates it once for an author, who may read what went wrong.
    pub(super) fn attempt(&self, context: &Context<'_, '_>) -> Result<bool, String> {
        guarded(|| Some(self.evaluate(context))).unwrap_or_else(|| Err("it fails".into()))
    }

    fn evaluate(&self, context: &Context<'_, '_>) -> Result<bool, String> {
        match self.program.execute(context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(format!("expected true or false, it gives {}", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A panic inside the parser or the interpreter is a failure like any other: it must not take the
/// batch along.
fn guarded<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(None)
}

/// What expressions are evaluated against.
pub(super) fn context<'v>(facts: &'v CelFacts<'_>) -> Context<'v, 'v> {
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.set_variable_resolver(facts);
    context
}

fn look(node: &IdedExpr, depth: usize) -> Result<(), types::Fault> {
    let refuse = |message: String| Err((node.id, message));
    if depth > DEPTH_MAX {
        return refuse(format!("at most {DEPTH_MAX} operators under each other"));
    }
    match &node.expr {
        Expr::Call(call) => {
            if !CALLS.contains(&call.func_name.as_str()) {
                return refuse(format!(
                    "`{}` is not available; there are operators, in, startsWith, endsWith and contains",
                    call.func_name
                ));
            }
            call.target.iter().try_for_each(|target| look(target, depth + 1))?;
            call.args.iter().try_for_each(|argument| look(argument, depth + 1))
        }
        Expr::Ident(name) if CelFacts::NAMES.contains(&name.as_str()) => Ok(()),
        Expr::Ident(name) => {
            refuse(format!("there is no `{name}`; there are {}", CelFacts::NAMES.join(", ")))
        }
        Expr::List(list) if list.elements.len() > LIST_MAX => {
            refuse(format!("a list has at most {LIST_MAX} elements"))
        }
        Expr::List(list) => list.elements.iter().try_for_each(|element| look(element, depth + 1)),
        Expr::Literal(LiteralValue::Double(_)) => refuse("amounts are whole numbers of minor units".into()),
        Expr::Literal(LiteralValue::Boolean(_) | LiteralValue::Int(_) | LiteralValue::String(_)) => Ok(()),
        Expr::Literal(LiteralValue::Bytes(_) | LiteralValue::Null | LiteralValue::UInt(_)) => {
            refuse("expected a number, a text, true or false".into())
        }
        Expr::Select(select) => refuse(format!("facts have no fields: no `.{}`", select.field)),
        Expr::Unspecified | Expr::Comprehension(_) | Expr::Map(_) | Expr::Struct(_) => {
            refuse("only operators, numbers, texts and lists are available".into())
        }
    }
}

fn first(errors: &ParseErrors) -> ExpressionError {
    let Some(error) = errors.errors.first() else {
        return ExpressionError { line: 1, column: 1, message: "no expression".into() };
    };
    let number = |n: isize| usize::try_from(n).unwrap_or(1).max(1);
    // The parser repeats what it stumbles over, with its line breaks.
    let message = without_values(&error.msg);
    ExpressionError { line: number(error.pos.0), column: number(error.pos.1), message }
}

/// Line and column, from 1, of a byte.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
