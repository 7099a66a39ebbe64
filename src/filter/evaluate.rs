//! What an expression comes to for a connection. It is well-typed, so what cannot be is null or false.

use std::borrow::Cow;

use super::Facts;
use super::ast::{Comparison, Expression, Field, Function, Kind, Literal, Test};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Null,
    Boolean(bool),
    Number(i64),
    Text(Cow<'a, str>),
}

pub(super) fn is_true(expression: &Expression, facts: &Facts<'_>) -> bool {
    evaluate(expression, facts) == Value::Boolean(true)
}

fn evaluate<'a>(expression: &'a Expression, facts: &Facts<'a>) -> Value<'a> {
    match &expression.kind {
        Kind::Literal(literal) => value_of(literal),
        Kind::Field(Field::UserId) => text_or_null(facts.user_id),
        Kind::Field(Field::ConnectionId) => Value::Text(facts.connection_id.into()),
        Kind::Field(Field::Protocol) => text_or_null(facts.subprotocol),
        // Only `in` and `length` ask for groups, and they do not come here.
        Kind::Field(Field::Groups) => Value::Null,
        Kind::Not(inner) => Value::Boolean(!is_true(inner, facts)),
        Kind::All(parts) => Value::Boolean(parts.iter().all(|part| is_true(part, facts))),
        Kind::Any(parts) => Value::Boolean(parts.iter().any(|part| is_true(part, facts))),
        Kind::Compared(left, tests) => {
            let first = evaluate(left, facts);
            tests.iter().fold(first, |left, test| Value::Boolean(passes(&left, test, facts)))
        }
        Kind::Call(function, arguments) => call(*function, arguments, facts),
    }
}

fn value_of(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(value) => Value::Boolean(*value),
        Literal::Number(value) => Value::Number(*value),
        Literal::Text(text) => Value::Text(text.as_str().into()),
    }
}

fn text_or_null(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, |text| Value::Text(text.into()))
}

fn passes(left: &Value<'_>, test: &Test, facts: &Facts<'_>) -> bool {
    match test {
        Test::With(Comparison::Equal, right) => *left == evaluate(right, facts),
        Test::With(Comparison::NotEqual, right) => *left != evaluate(right, facts),
        Test::With(comparison, right) => match (left, evaluate(right, facts)) {
            (Value::Number(left), Value::Number(right)) => match comparison {
                Comparison::Greater => *left > right,
                Comparison::GreaterOrEqual => *left >= right,
                Comparison::Less => *left < right,
                Comparison::LessOrEqual => *left <= right,
                Comparison::Equal | Comparison::NotEqual => false,
            },
            _ => false,
        },
        Test::OneOf(literals) => literals.iter().any(|(literal, _)| *left == value_of(literal)),
        Test::InGroups => matches!(left, Value::Text(text) if facts.groups.contains(text)),
    }
}

fn call<'a>(function: Function, arguments: &'a [Expression], facts: &Facts<'a>) -> Value<'a> {
    if let (Function::Length, [Expression { kind: Kind::Field(Field::Groups), .. }]) = (function, arguments) {
        return Value::Number(signed(facts.groups.count()));
    }
    let mut values = arguments.iter().map(|argument| evaluate(argument, facts));
    let values = (values.next().unwrap_or(Value::Null), values.next(), values.next());
    match (function, values) {
        (Function::Length, (Value::Text(text), ..)) => Value::Number(signed(text.chars().count())),
        (Function::ToLower, (Value::Text(text), ..)) => Value::Text(text.to_lowercase().into()),
        (Function::ToUpper, (Value::Text(text), ..)) => Value::Text(text.to_uppercase().into()),
        (Function::Trim, (Value::Text(text), ..)) => Value::Text(match text {
            Cow::Borrowed(text) => text.trim().into(),
            Cow::Owned(text) => text.trim().to_owned().into(),
        }),
        (Function::Substring, (Value::Text(text), Some(Value::Number(from)), None)) => part(&text, from, i64::MAX),
        (Function::Substring, (Value::Text(text), Some(Value::Number(from)), Some(Value::Number(count)))) => {
            part(&text, from, count)
        }
        (Function::IndexOf, (Value::Text(text), Some(Value::Text(wanted)), _)) => {
            let before = text.split_once(wanted.as_ref()).map(|(before, _)| signed(before.chars().count()));
            Value::Number(before.unwrap_or(-1))
        }
        (Function::IndexOf, _) => Value::Number(-1),
        (Function::Concat, (Value::Text(text), Some(Value::Text(more)), _)) => {
            Value::Text(text + Cow::from(more.into_owned()))
        }
        (Function::Contains, (Value::Text(text), Some(Value::Text(part)), _)) => {
            Value::Boolean(text.contains(part.as_ref()))
        }
        (Function::StartsWith, (Value::Text(text), Some(Value::Text(part)), _)) => {
            Value::Boolean(text.starts_with(part.as_ref()))
        }
        (Function::EndsWith, (Value::Text(text), Some(Value::Text(part)), _)) => {
            Value::Boolean(text.ends_with(part.as_ref()))
        }
        (Function::Contains | Function::StartsWith | Function::EndsWith, _) => Value::Boolean(false),
        _ => Value::Null,
    }
}

/// Characters from an index on, as many as there are of those wanted; what lies before the text counts as missing.
fn part(text: &str, from: i64, count: i64) -> Value<'static> {
    let unsigned = |number: i64| usize::try_from(number.max(0)).unwrap_or(usize::MAX);
    Value::Text(text.chars().skip(unsigned(from)).take(unsigned(count)).collect::<String>().into())
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
