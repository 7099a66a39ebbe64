//! Types. All of an expression is looked at, whatever it would come to.

use super::FilterError;
use super::ast::{Comparison, Expression, Field, Function, Kind, Literal, Test};

/// What an expression can come to. Texts and numbers may always be missing (null) as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Null,
    Boolean,
    Number,
    Text,
    Groups,
}

impl Type {
    fn described(self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Boolean => "true or false",
            Type::Number => "a number",
            Type::Text => "a text",
            Type::Groups => "the groups",
        }
    }

    fn is(self, wanted: Type) -> bool {
        self == wanted || (self == Type::Null && matches!(wanted, Type::Number | Type::Text))
    }
}

/// Whether the expression as a whole is true or false of a connection.
pub(super) fn is_condition(expression: &Expression) -> Result<(), FilterError> {
    expect(expression, Type::Boolean, "a filter")
}

fn type_of(expression: &Expression) -> Result<Type, FilterError> {
    match &expression.kind {
        Kind::Literal(literal) => Ok(type_of_literal(literal)),
        Kind::Field(Field::Groups) => Ok(Type::Groups),
        Kind::Field(_) => Ok(Type::Text),
        Kind::Not(inner) => {
            expect(inner, Type::Boolean, "\"not\"")?;
            Ok(Type::Boolean)
        }
        Kind::All(parts) => each_is_condition(parts, "\"and\""),
        Kind::Any(parts) => each_is_condition(parts, "\"or\""),
        Kind::Compared(left, tests) => {
            let first = type_of(left)?;
            tests.iter().try_fold(first, |left, test| compared(left, test, expression.at))
        }
        Kind::Call(function, arguments) => called(*function, arguments, expression.at),
    }
}

fn type_of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Boolean(_) => Type::Boolean,
        Literal::Number(_) => Type::Number,
        Literal::Text(_) => Type::Text,
    }
}

fn each_is_condition(parts: &[Expression], whose: &str) -> Result<Type, FilterError> {
    parts.iter().try_for_each(|part| expect(part, Type::Boolean, whose))?;
    Ok(Type::Boolean)
}

fn compared(left: Type, test: &Test, at: usize) -> Result<Type, FilterError> {
    match test {
        Test::With(comparison, right) => {
            let (whose, right_at) = (name(*comparison), right.at);
            let right = type_of(right)?;
            if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
                if left == Type::Groups || right == Type::Groups {
                    return Err(wrong(
                        "groups can only be asked for what is in them and for their length".to_owned(),
                        at,
                    ));
                }
                if left != right && left != Type::Null && right != Type::Null {
                    let (left, right) = (left.described(), right.described());
                    return Err(wrong(format!("{whose} compares {left} with {right}, which are never the same"), at));
                }
            } else {
                for (side, at) in [(left, at), (right, right_at)] {
                    if !side.is(Type::Number) {
                        return Err(wrong(format!("{whose} needs a number and not {}", side.described()), at));
                    }
                }
            }
        }
        Test::OneOf(literals) => {
            for (literal, at) in literals {
                let right = type_of_literal(literal);
                if left == Type::Groups || (left != right && left != Type::Null && right != Type::Null) {
                    let (left, right) = (left.described(), right.described());
                    return Err(wrong(format!("\"in\" looks for {left} and finds {right}"), *at));
                }
            }
        }
        Test::InGroups if left.is(Type::Text) => {}
        Test::InGroups => return Err(wrong(format!("groups are texts and not {}", left.described()), at)),
    }
    Ok(Type::Boolean)
}

fn name(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "\"eq\"",
        Comparison::NotEqual => "\"ne\"",
        Comparison::Greater => "\"gt\"",
        Comparison::GreaterOrEqual => "\"ge\"",
        Comparison::Less => "\"lt\"",
        Comparison::LessOrEqual => "\"le\"",
    }
}

fn called(function: Function, arguments: &[Expression], at: usize) -> Result<Type, FilterError> {
    use Type::{Boolean, Number, Text};
    // By its form and not by its type: whoever asks for the type of an argument twice asks 2^n times in n functions.
    if let (Function::Length, [Expression { kind: Kind::Field(Field::Groups), .. }]) = (function, arguments) {
        return Ok(Number);
    }
    // What it takes, how much of that may be left out, and what comes of it.
    let (takes, optional, becomes): (&[Type], usize, Type) = match function {
        Function::Length => (&[Text], 0, Number),
        Function::ToLower | Function::ToUpper | Function::Trim => (&[Text], 0, Text),
        Function::Substring => (&[Text, Number, Number], 1, Text),
        Function::IndexOf => (&[Text, Text], 0, Number),
        Function::Concat => (&[Text, Text], 0, Text),
        Function::Contains | Function::StartsWith | Function::EndsWith => (&[Text, Text], 0, Boolean),
    };
    if arguments.len() > takes.len() || arguments.len() < takes.len() - optional {
        let some = if optional == 0 { String::new() } else { format!("{} or ", takes.len() - optional) };
        let (name, most, given) = (function.name(), takes.len(), arguments.len());
        return Err(wrong(format!("{name} takes {some}{most} arguments and not {given}"), at));
    }
    for (argument, wanted) in arguments.iter().zip(takes) {
        expect(argument, *wanted, function.name())?;
    }
    Ok(becomes)
}

fn expect(expression: &Expression, wanted: Type, whose: &str) -> Result<(), FilterError> {
    let found = type_of(expression)?;
    if found.is(wanted) {
        return Ok(());
    }
    Err(wrong(format!("{whose} needs {} and not {}", wanted.described(), found.described()), expression.at))
}

fn wrong(message: String, at: usize) -> FilterError {
    FilterError::Type { message, at }
}
