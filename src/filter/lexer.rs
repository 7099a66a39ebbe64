//! From characters to tokens.

use std::iter::Peekable;
use std::str::Chars;

use super::FilterError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Comma,
    Word(String),
    Number(i64),
    Text(String),
}

/// The tokens of a text, each with the character at which it begins, and at last the end.
pub(super) fn tokens(text: &str) -> Result<(Vec<(Token, usize)>, usize), FilterError> {
    let mut reader = Reader { chars: text.chars().peekable(), at: 1 };
    let mut tokens = Vec::new();
    while let Some(token) = reader.token()? {
        tokens.push(token);
    }
    Ok((tokens, reader.at))
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    at: usize,
}

impl Reader<'_> {
    fn token(&mut self) -> Result<Option<(Token, usize)>, FilterError> {
        self.take_while(|c| matches!(c, ' ' | '\t'));
        let at = self.at;
        let Some(&first) = self.chars.peek() else { return Ok(None) };
        let token = match first {
            '(' => self.single(Token::Open),
            ')' => self.single(Token::Close),
            ',' => self.single(Token::Comma),
            '\'' => self.text(at)?,
            '+' | '-' | '0'..='9' => self.number(at)?,
            'a'..='z' | 'A'..='Z' | '_' => Token::Word(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')),
            other => return Err(syntax(format!("{other:?} means nothing here"), at)),
        };
        Ok(Some((token, at)))
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next()?;
        self.at += 1;
        Some(next)
    }

    fn single(&mut self, token: Token) -> Token {
        self.next();
        token
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.chars.next_if(|&c| wanted(c)) {
            self.at += 1;
            taken.push(c);
        }
        taken
    }

    /// A text in single quotes; a quote in it is written twice.
    fn text(&mut self, at: usize) -> Result<Token, FilterError> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('\'') if self.chars.peek() == Some(&'\'') => {
                    self.next();
                    text.push('\'');
                }
                Some('\'') => return Ok(Token::Text(text)),
                Some(other) => text.push(other),
                None => return Err(syntax("a text without its closing quote".to_owned(), at)),
            }
        }
    }

    fn number(&mut self, at: usize) -> Result<Token, FilterError> {
        let mut digits: String = self.next().into_iter().collect();
        // What follows a number without a blank is part of a mistake, and shown as such.
        digits.push_str(&self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')));
        digits.parse().map(Token::Number).map_err(|_| syntax(format!("{digits:?} is no whole number of 64 bits"), at))
    }
}

pub(super) fn syntax(message: String, at: usize) -> FilterError {
    FilterError::Syntax { message, at }
}
