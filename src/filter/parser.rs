//! From tokens to an expression.
//!
//! ```text
//! any        = all { "or" all }
//! all        = comparison { "and" comparison }
//! comparison = unary { ("eq" | "ne" | "gt" | "ge" | "lt" | "le") unary | "in" ("groups" | list) }
//! list       = "(" literal { "," literal } ")"
//! unary      = "not" unary | primary
//! primary    = "(" any ")" | literal | field | function "(" any { "," any } ")"
//! ```

use std::vec::IntoIter;

use super::ast::{Comparison, Expression, Field, Function, Kind, Literal, Test};
use super::lexer::{Token, syntax, tokens};
use super::{FilterError, MAX_FILTER_DEPTH};

pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let (tokens, end) = tokens(text)?;
    let mut parser = Parser { tokens: tokens.into_iter(), end, depth: 0 };
    let expression = parser.any()?;
    match parser.tokens.next() {
        None => Ok(expression),
        Some((token, at)) => Err(unexpected(&token, at, "the end or an operator")),
    }
}

struct Parser {
    tokens: IntoIter<(Token, usize)>,
    /// The character after the last.
    end: usize,
    depth: usize,
}

type Parsed = Result<Expression, FilterError>;

impl Parser {
    fn any(&mut self) -> Parsed {
        self.chain("or", Kind::Any, Self::all)
    }

    fn all(&mut self) -> Parsed {
        self.chain("and", Kind::All, Self::comparison)
    }

    fn chain(&mut self, word: &str, joined: fn(Vec<Expression>) -> Kind, part: fn(&mut Self) -> Parsed) -> Parsed {
        let first = part(self)?;
        if !self.take_word(word) {
            return Ok(first);
        }
        let at = first.at;
        let mut parts = vec![first, part(self)?];
        while self.take_word(word) {
            parts.push(part(self)?);
        }
        Ok(Expression { kind: joined(parts), at })
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.unary()?;
        let at = left.at;
        let mut tests = Vec::new();
        while let Some(Token::Word(word)) = self.peek() {
            if let Some(comparison) = Comparison::named(word) {
                self.tokens.next();
                tests.push(Test::With(comparison, self.unary()?));
            } else if word == "in" {
                self.tokens.next();
                tests.push(self.membership()?);
            } else {
                break;
            }
        }
        Ok(if tests.is_empty() { left } else { Expression { kind: Kind::Compared(Box::new(left), tests), at } })
    }

    /// What stands behind `in`.
    fn membership(&mut self) -> Result<Test, FilterError> {
        match self.next("groups or a list in parentheses")? {
            (Token::Word(word), _) if Field::named(&word) == Some(Field::Groups) => Ok(Test::InGroups),
            (Token::Open, _) => {
                let mut literals = vec![self.literal()?];
                loop {
                    match self.next("a comma or a closing parenthesis")? {
                        (Token::Comma, _) => literals.push(self.literal()?),
                        (Token::Close, _) => return Ok(Test::OneOf(literals)),
                        (token, at) => return Err(unexpected(&token, at, "a comma or a closing parenthesis")),
                    }
                }
            }
            (token, at) => Err(unexpected(&token, at, "groups or a list in parentheses")),
        }
    }

    fn literal(&mut self) -> Result<(Literal, usize), FilterError> {
        let (token, at) = self.next("a value")?;
        literal_of(&token).map(|literal| (literal, at)).ok_or_else(|| unexpected(&token, at, "a value"))
    }

    fn unary(&mut self) -> Parsed {
        let at = self.position();
        if !self.take_word("not") {
            return self.primary();
        }
        let negated = self.deeper(at, Self::unary)?;
        Ok(Expression { kind: Kind::Not(Box::new(negated)), at })
    }

    fn primary(&mut self) -> Parsed {
        let (token, at) = self.next("a value")?;
        if token == Token::Open {
            let inner = self.deeper(at, Self::any)?;
            self.expect(&Token::Close, "a closing parenthesis")?;
            return Ok(Expression { kind: inner.kind, at });
        }
        if let Some(literal) = literal_of(&token) {
            return Ok(Expression { kind: Kind::Literal(literal), at });
        }
        let Token::Word(word) = &token else { return Err(unexpected(&token, at, "a value")) };
        if self.peek() == Some(&Token::Open) {
            let function = Function::named(word).ok_or_else(|| syntax(format!("there is no function {word:?}"), at))?;
            let arguments = self.deeper(at, Self::arguments)?;
            return Ok(Expression { kind: Kind::Call(function, arguments), at });
        }
        match Field::named(word) {
            Some(field) => Ok(Expression { kind: Kind::Field(field), at }),
            None => Err(syntax(format!("{word:?} is nothing that a filter knows"), at)),
        }
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, FilterError> {
        self.tokens.next();
        let mut arguments = vec![self.any()?];
        while self.peek() == Some(&Token::Comma) {
            self.tokens.next();
            arguments.push(self.any()?);
        }
        self.expect(&Token::Close, "a closing parenthesis")?;
        Ok(arguments)
    }

    fn deeper<T>(&mut self, at: usize, part: fn(&mut Self) -> Result<T, FilterError>) -> Result<T, FilterError> {
        if self.depth == MAX_FILTER_DEPTH {
            return Err(FilterError::TooDeep { at });
        }
        self.depth += 1;
        let inner = part(self);
        self.depth -= 1;
        inner
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.as_slice().first().map(|(token, _)| token)
    }

    fn position(&self) -> usize {
        self.tokens.as_slice().first().map_or(self.end, |(_, at)| *at)
    }

    fn next(&mut self, wanted: &str) -> Result<(Token, usize), FilterError> {
        self.tokens.next().ok_or_else(|| syntax(format!("{wanted} is missing"), self.end))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Word(there)) if there == word);
        if is_there {
            self.tokens.next();
        }
        is_there
    }

    fn expect(&mut self, token: &Token, wanted: &str) -> Result<(), FilterError> {
        let (there, at) = self.next(wanted)?;
        if there == *token { Ok(()) } else { Err(unexpected(&there, at, wanted)) }
    }
}

fn literal_of(token: &Token) -> Option<Literal> {
    Some(match token {
        Token::Number(number) => Literal::Number(*number),
        Token::Text(text) => Literal::Text(text.clone()),
        Token::Word(word) => match word.as_str() {
            "null" => Literal::Null,
            "true" => Literal::Boolean(true),
            "false" => Literal::Boolean(false),
            _ => return None,
        },
        Token::Open | Token::Close | Token::Comma => return None,
    })
}

fn unexpected(token: &Token, at: usize, wanted: &str) -> FilterError {
    let found = match token {
        Token::Open => "\"(\"".to_owned(),
        Token::Close => "\")\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
        Token::Word(word) => format!("{word:?}"),
        Token::Number(number) => number.to_string(),
        Token::Text(_) => "a text".to_owned(),
    };
    syntax(format!("{found} stands where {wanted} should be"), at)
}
