//! Every fact has one type, and many texts one form. CEL itself calls a comparison across types
//! false, so that a rule which denies by one would let everything pass: an author is told instead.
//!
//! Asked only of what enters the ledger. Expressions of older logs are decided as they always were.

use std::fmt;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use chrono::NaiveDate;

use super::countries::{self, is_country};
use crate::money::Currency;
use crate::transaction::Mcc;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Type {
    Truth,
    Number,
    Text,
    /// `None`: of an empty list.
    List(Option<Box<Type>>),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Truth => f.write_str("true or false"),
            Type::Number => f.write_str("a number"),
            Type::Text => f.write_str("a text"),
            Type::List(None) => f.write_str("an empty list"),
            Type::List(Some(of)) => write!(f, "a list whose elements are each {of}"),
        }
    }
}

/// A node, and what is wrong there.
pub(super) type Fault = (u64, String);

type Typed = Result<Type, Fault>;

/// Whether an expression that uses only what is available answers true or false, and compares like
/// with like.
pub(super) fn check(node: &IdedExpr) -> Result<(), Fault> {
    expect(node, &Type::Truth, "an expression")
}

fn fault<T>(node: &IdedExpr, message: String) -> Result<T, Fault> {
    Err((node.id, message))
}

fn expect(node: &IdedExpr, wanted: &Type, what: &str) -> Result<(), Fault> {
    let found = type_of(node)?;
    if found == *wanted {
        return Ok(());
    }
    fault(node, format!("{what} needs {wanted}, this is {found}"))
}

fn type_of(node: &IdedExpr) -> Typed {
    match &node.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => Ok(Type::Truth),
        Expr::Literal(LiteralValue::Int(_)) => Ok(Type::Number),
        Expr::Literal(LiteralValue::String(_)) => Ok(Type::Text),
        Expr::Ident(name) => Ok(fact(name)),
        Expr::List(list) => {
            let mut of = None;
            for element in &list.elements {
                let found = type_of(element)?;
                match &of {
                    None => of = Some(found),
                    Some(first) if *first == found => {}
                    Some(first) => {
                        return fault(
                            element,
                            format!("a list has elements of one type: the first is {first}, this is {found}"),
                        );
                    }
                }
            }
            Ok(Type::List(of.map(Box::new)))
        }
        Expr::Call(call) => match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (name, target, arguments) if ["startsWith", "endsWith", "contains"].contains(&name) => {
                let ([argument], Some(text)) = (arguments, target) else {
                    return fault(
                        node,
                        format!("`{name}` is asked of a text about a text: mcc.{name}('58')"),
                    );
                };
                let what = format!("`{name}`");
                expect(text, &Type::Text, &what)?;
                expect(argument, &Type::Text, &what)?;
                has_part(text, argument)?;
                Ok(Type::Truth)
            }
            (name, None, arguments) => operation(node, name, arguments),
            (name, Some(_), _) => fault(node, format!("`{name}` is not available here")),
        },
        _ => fault(node, "only operators, numbers, texts and lists are available".into()),
    }
}

fn operation(node: &IdedExpr, name: &str, arguments: &[IdedExpr]) -> Typed {
    let sign = sign(name);
    match (name, arguments) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
            for argument in arguments {
                expect(argument, &Type::Truth, sign)?;
            }
            Ok(Type::Truth)
        }
        (operators::CONDITIONAL, [condition, one, other]) => {
            expect(condition, &Type::Truth, "what stands before `?`")?;
            let wanted = type_of(one)?;
            expect(other, &wanted, "what stands after `:`")?;
            Ok(wanted)
        }
        (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
            like(node, sign, left, right)?;
            can_be(left, right)?;
            can_be(right, left)?;
            Ok(Type::Truth)
        }
        (
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
            [left, right],
        ) => match like(node, sign, left, right)? {
            Type::Number => Ok(Type::Truth),
            Type::Text => {
                can_be(left, right)?;
                can_be(right, left)?;
                Ok(Type::Truth)
            }
            found => fault(node, format!("{sign} compares numbers or texts, this is {found}")),
        },
        (operators::IN, [element, list]) => {
            let (found, Type::List(of)) = (type_of(element)?, type_of(list)?) else {
                return fault(list, "`in` needs a list".into());
            };
            if let Some(of) = of
                && *of != found
            {
                return fault(node, format!("`in` compares {found} with elements that are each {of}"));
            }
            is_in(element, list)?;
            Ok(Type::Truth)
        }
        // Texts that are put together are none whose form is known.
        (
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE,
            _,
        ) => {
            for argument in arguments {
                expect(argument, &Type::Number, sign)?;
            }
            Ok(Type::Number)
        }
        _ => fault(node, format!("{sign} does not take this")),
    }
}

/// The type that both sides have.
fn like(node: &IdedExpr, sign: &str, left: &IdedExpr, right: &IdedExpr) -> Typed {
    let (one, other) = (type_of(left)?, type_of(right)?);
    if one == other {
        return Ok(one);
    }
    fault(node, format!("{sign} needs the same type on both sides: one is {one}, the other {other}"))
}

/// Refuses a value that the fact it is compared with never has: the comparison would always say the
/// same.
fn can_be(fact: &IdedExpr, value: &IdedExpr) -> Result<(), Fault> {
    if let Some(branches) = branches(fact) {
        return branches.iter().try_for_each(|branch| can_be(branch, value));
    }
    if let Some(branches) = branches(value) {
        return branches.iter().try_for_each(|branch| can_be(fact, branch));
    }
    if let (Expr::List(facts), Expr::List(values)) = (&fact.expr, &value.expr) {
        return facts.elements.iter().zip(&values.elements).try_for_each(|(fact, value)| can_be(fact, value));
    }
    let Expr::Ident(name) = &fact.expr else { return Ok(()) };
    let expected = match (name.as_str(), &value.expr) {
        ("mcc", Expr::Literal(LiteralValue::String(text))) => {
            let fits =
                text.inner().is_empty() || (text.inner().len() == 4 && Mcc::parse(text.inner()).is_some());
            (!fits).then_some("a category of four digits such as '0742'")
        }
        ("country", Expr::Literal(LiteralValue::String(text))) => {
            if text.inner().is_empty() || is_country(text.inner()) {
                return Ok(());
            }
            let expected = countries::expected(text.inner());
            return fault(value, format!("`{name}` is never this: expected {expected}"));
        }
        ("currency", Expr::Literal(LiteralValue::String(text))) => {
            Currency::from_code(text.inner()).is_none().then_some("a currency of ISO 4217 such as 'GBP'")
        }
        ("day", Expr::Literal(LiteralValue::String(text))) => {
            let day = text.inner().parse::<NaiveDate>().ok();
            let fits = day.is_some_and(|day| day.to_string() == text.inner());
            (!fits).then_some("a day such as '2026-11-22'")
        }
        ("weekday", Expr::Literal(LiteralValue::Int(number))) => {
            (!(1..=7).contains(number.inner())).then_some("a weekday from 1 (Monday) to 7")
        }
        ("hour", Expr::Literal(LiteralValue::Int(number))) => {
            (!(0..=23).contains(number.inner())).then_some("an hour from 0 to 23")
        }
        _ => None,
    };
    match expected {
        Some(expected) => fault(value, format!("`{name}` is never this: expected {expected}")),
        None => Ok(()),
    }
}

/// The same for each element of a list.
fn is_in(element: &IdedExpr, list: &IdedExpr) -> Result<(), Fault> {
    if let Some(branches) = branches(list) {
        return branches.iter().try_for_each(|branch| is_in(element, branch));
    }
    let Expr::List(list) = &list.expr else { return Ok(()) };
    list.elements.iter().try_for_each(|other| {
        can_be(element, other)?;
        can_be(other, element)
    })
}

/// The same for a part of a text.
fn has_part(fact: &IdedExpr, part: &IdedExpr) -> Result<(), Fault> {
    if let Some(branches) = branches(fact) {
        return branches.iter().try_for_each(|branch| has_part(branch, part));
    }
    if let Some(branches) = branches(part) {
        return branches.iter().try_for_each(|branch| has_part(fact, branch));
    }
    let (Expr::Ident(name), Expr::Literal(LiteralValue::String(text))) = (&fact.expr, &part.expr) else {
        return Ok(());
    };
    let consists_of =
        |longest: usize, of: fn(u8) -> bool| text.inner().len() <= longest && text.inner().bytes().all(of);
    let (fits, expected) = match name.as_str() {
        "mcc" => (consists_of(4, |b| b.is_ascii_digit()), "at most four digits"),
        "country" => (consists_of(2, |b| b.is_ascii_uppercase()), "at most two capital letters"),
        "currency" => (consists_of(3, |b| b.is_ascii_uppercase()), "at most three capital letters"),
        "day" => {
            (consists_of(10, |b| b.is_ascii_digit() || b == b'-'), "a part of a day such as '2026-11-22'")
        }
        _ => (true, ""),
    };
    if fits { Ok(()) } else { fault(part, format!("`{name}` never has this in it: expected {expected}")) }
}

/// The two values that `condition ? one : other` may have.
fn branches(node: &IdedExpr) -> Option<&[IdedExpr]> {
    match &node.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => call.args.get(1..3),
        _ => None,
    }
}

/// The type of a fact there is.
fn fact(name: &str) -> Type {
    match name {
        "has_merchant" | "first_purchase_at_merchant" => Type::Truth,
        "currency" | "merchant_id" | "mcc" | "country" | "day" => Type::Text,
        _ => Type::Number,
    }
}

/// An operator as it is written.
fn sign(name: &str) -> &'static str {
    match name {
        operators::LOGICAL_AND => "`&&`",
        operators::LOGICAL_OR => "`||`",
        operators::LOGICAL_NOT => "`!`",
        operators::EQUALS => "`==`",
        operators::NOT_EQUALS => "`!=`",
        operators::LESS => "`<`",
        operators::LESS_EQUALS => "`<=`",
        operators::GREATER => "`>`",
        operators::GREATER_EQUALS => "`>=`",
        operators::ADD => "`+`",
        operators::SUBSTRACT | operators::NEGATE => "`-`",
        operators::MULTIPLY => "`*`",
        operators::DIVIDE => "`/`",
        operators::MODULO => "`%`",
        operators::IN => "`in`",
        operators::CONDITIONAL => "`? :`",
        _ => "this operator",
    }
}
