//! What a filter consists of. Every expression knows where it began in the text, for those who have to say so.

/// An expression and the character at which it begins, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Literal(Literal),
    Field(Field),
    Not(Box<Expression>),
    /// Two or more. As a list, so that a long chain is not a deep tree.
    All(Vec<Expression>),
    /// Two or more.
    Any(Vec<Expression>),
    /// Read from the left: what came out of one comparison is the left side of the next.
    Compared(Box<Expression>, Vec<Test>),
    Call(Function, Vec<Expression>),
}

/// A comparison without its left side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    With(Comparison, Expression),
    OneOf(Vec<(Literal, usize)>),
    InGroups,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Number(i64),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    UserId,
    ConnectionId,
    Protocol,
    Groups,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Length,
    ToLower,
    ToUpper,
    Trim,
    Substring,
    IndexOf,
    Concat,
    Contains,
    StartsWith,
    EndsWith,
}

impl Expression {
    /// How many parts it has, which is what applying it costs.
    pub(super) fn weight(&self) -> usize {
        let all = |parts: &[Expression]| parts.iter().map(Expression::weight).sum::<usize>();
        1 + match &self.kind {
            Kind::Literal(_) | Kind::Field(_) => 0,
            Kind::Not(inner) => inner.weight(),
            Kind::All(parts) | Kind::Any(parts) | Kind::Call(_, parts) => all(parts),
            Kind::Compared(left, tests) => left.weight() + tests.iter().map(Test::weight).sum::<usize>(),
        }
    }
}

impl Test {
    fn weight(&self) -> usize {
        match self {
            Test::With(_, right) => right.weight(),
            Test::OneOf(literals) => literals.len(),
            Test::InGroups => 1,
        }
    }
}

impl Field {
    /// Fields are found whatever their case is.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            ("userId", Field::UserId),
            ("connectionId", Field::ConnectionId),
            ("protocol", Field::Protocol),
            ("groups", Field::Groups),
        ];
        all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, field)| field)
    }
}

impl Comparison {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            _ => return None,
        })
    }
}

impl Function {
    const ALL: [(&'static str, Function); 10] = [
        ("length", Function::Length),
        ("tolower", Function::ToLower),
        ("toupper", Function::ToUpper),
        ("trim", Function::Trim),
        ("substring", Function::Substring),
        ("indexof", Function::IndexOf),
        ("concat", Function::Concat),
        ("contains", Function::Contains),
        ("startswith", Function::StartsWith),
        ("endswith", Function::EndsWith),
    ];

    /// Functions are found in lower case only, as OData writes them.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, function)| function)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }
}
