//! The rows of a file, CSV or JSON, as one shape: names of fields and their values, with the line they begin in.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::cutter::{CutError, Cutter, MAX_ROW_BYTES};
use super::{Format, Mistake};

/// The fields that a user can have in a file.
pub(super) const FIELDS: [&str; 12] = [
    "login",
    "password",
    "password_hash",
    "username",
    "department",
    "phone",
    "age",
    "groups",
    "roles",
    "hubs",
    "data",
    "disabled",
];

/// What is read ahead by the CSV reader, beyond the row itself.
const READ_AHEAD: usize = 64 * 1024;

/// One user as the file has them; nothing is checked but the names of the fields.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) fields: Map<String, Value>,
}

/// The rows of an input. After a mistake that leaves no way on, there are no more.
pub(super) enum Rows<'a> {
    Csv(Box<CsvRows<'a>>),
    Json(Cutter<Box<dyn BufRead + 'a>>),
}

impl<'a> Rows<'a> {
    pub(super) fn new(input: Box<dyn BufRead + 'a>, format: Format) -> Self {
        match format {
            Format::Csv => Rows::Csv(Box::new(CsvRows::new(input))),
            Format::Json => Rows::Json(Cutter::new(input)),
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Rows::Csv(rows) => rows.next(),
            Rows::Json(objects) => Some(match objects.next()? {
                Ok((line, object)) => parse_object(line, &object),
                Err(CutError { line, message }) => Err(Mistake { line, message }),
            }),
        }
    }
}

fn parse_object(line: u64, object: &[u8]) -> Result<Row, Mistake> {
    let fields: Map<String, Value> = serde_json::from_slice(object).map_err(|error| {
        // Its own place counts from the beginning of the object; and a value could be a password, so no more than the
        // kind of mistake is repeated.
        let what = if error.is_eof() { "the object ends too early" } else { "this is not valid JSON" };
        Mistake { line: line + (error.line() as u64).saturating_sub(1), message: what.to_owned() }
    })?;
    // What `user list --json` prints and a file cannot set.
    let unknown = fields.keys().find(|name| *name != "demo" && !FIELDS.contains(&name.as_str()));
    match unknown {
        Some(name) => Err(Mistake { line, message: unknown_field("key", name) }),
        None => Ok(Row { line, fields }),
    }
}

fn unknown_field(what: &str, name: &str) -> String {
    let near = FIELDS.iter().map(|field| (strsim::damerau_levenshtein(field, name), field)).min();
    let hint = match near {
        Some((distance, field)) if distance <= 3 && distance < field.len() => format!(" – did you mean '{field}'?"),
        _ => format!("; there are {}", FIELDS.join(", ")),
    };
    format!("unknown {what} '{}'{hint}", name.escape_debug())
}

/// The rows of a CSV file behind its header.
pub(super) struct CsvRows<'a> {
    reader: csv::Reader<Budget<'a>>,
    columns: Option<Vec<&'static str>>,
    budget: Rc<Cell<usize>>,
    done: bool,
}

impl<'a> CsvRows<'a> {
    fn new(input: Box<dyn BufRead + 'a>) -> Self {
        let budget = Rc::new(Cell::new(0));
        let mut builder = csv::ReaderBuilder::new();
        let reader = builder.has_headers(false).from_reader(Budget { input, left: budget.clone() });
        CsvRows { reader, columns: None, budget, done: false }
    }

    fn next(&mut self) -> Option<Result<Row, Mistake>> {
        if self.done {
            return None;
        }
        if self.columns.is_none() {
            match self.record()? {
                Ok((line, header)) => match columns(&header) {
                    Ok(columns) => self.columns = Some(columns),
                    Err(message) => {
                        self.done = true;
                        return Some(Err(Mistake { line, message }));
                    }
                },
                Err(mistake) => return Some(Err(mistake)),
            }
        }
        let (line, record) = match self.record()? {
            Ok(record) => record,
            Err(mistake) => return Some(Err(mistake)),
        };
        let columns = self.columns.iter().flatten();
        let fields = columns.zip(&record).map(|(name, cell)| ((*name).to_owned(), value(name, cell)));
        Some(Ok(Row { line, fields: fields.collect() }))
    }

    /// The next record with the line it begins in.
    fn record(&mut self) -> Option<Result<(u64, csv::StringRecord), Mistake>> {
        self.budget.set(MAX_ROW_BYTES + READ_AHEAD);
        let mut record = csv::StringRecord::new();
        let line = self.reader.position().line();
        match self.reader.read_record(&mut record) {
            Ok(true) => Some(Ok((record.position().map_or(line, csv::Position::line), record))),
            Ok(false) => None,
            Err(error) => {
                let line = error.position().map_or(line, csv::Position::line);
                let message = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("there are {len} cells, and the first line names {expected_len} columns")
                    }
                    csv::ErrorKind::Utf8 { .. } => "this is not UTF-8".to_owned(),
                    kind => {
                        self.done = true;
                        match kind {
                            csv::ErrorKind::Io(error) => error.to_string(),
                            _ => "this is no CSV".to_owned(),
                        }
                    }
                };
                Some(Err(Mistake { line, message }))
            }
        }
    }
}

fn columns(header: &csv::StringRecord) -> Result<Vec<&'static str>, String> {
    let mut columns: Vec<&'static str> = Vec::new();
    for name in header.iter().map(str::trim) {
        let column = FIELDS.iter().copied().find(|field| *field == name).ok_or_else(|| match name.contains(';') {
            true => "columns are separated by commas, not by semicolons".to_owned(),
            false => unknown_field("column", name),
        })?;
        if columns.contains(&column) {
            return Err(format!("the column '{column}' is there twice"));
        }
        columns.push(column);
    }
    if columns.contains(&"login") { Ok(columns) } else { Err("there is no column 'login'".to_owned()) }
}

/// What a cell means. One that cannot be read stays a text, which is refused where the field is read.
fn value(column: &str, cell: &str) -> Value {
    let text = || Value::from(cell);
    match column {
        _ if cell.is_empty() => Value::Null,
        "groups" | "roles" | "hubs" if cell.starts_with('[') => serde_json::from_str(cell).unwrap_or_else(|_| text()),
        "groups" | "roles" | "hubs" => cell.split(';').map(str::trim).filter(|item| !item.is_empty()).collect(),
        "age" | "data" | "disabled" => serde_json::from_str(cell).unwrap_or_else(|_| text()),
        _ => text(),
    }
}

/// Lets no row be longer than memory should hold: a quote that is never closed would take the whole file.
struct Budget<'a> {
    input: Box<dyn BufRead + 'a>,
    left: Rc<Cell<usize>>,
}

impl Read for Budget<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let left = self.left.get().checked_sub(count);
        let message = || format!("a row has more than {} MiB; is a quote not closed?", MAX_ROW_BYTES >> 20);
        self.left.set(left.ok_or_else(|| io::Error::other(message()))?);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(text: &str, format: Format) -> Vec<Result<(u64, Value), (u64, String)>> {
        let rows = Rows::new(Box::new(text.as_bytes()), format);
        rows.map(|row| match row {
            Ok(Row { line, fields }) => Ok((line, Value::Object(fields))),
            Err(Mistake { line, message }) => Err((line, message)),
        })
        .collect()
    }

    #[test]
    fn cells_mean_what_their_column_says() {
        let text = "login , age,groups,roles,data,disabled,password\n\
                    mark,22,a; b/c ,\"[\"\"x\"\"]\",\"{\"\"desk\"\":7}\",true, pass word \n\
                    \"an\nna\",,,,,,\n";
        let mark = json!({"login": "mark", "age": 22, "groups": ["a", "b/c"], "roles": ["x"], "data": {"desk": 7},
            "disabled": true, "password": " pass word "});
        let anna = json!({"login": "an\nna", "age": null, "groups": null, "roles": null, "data": null,
            "disabled": null, "password": null});
        assert_eq!(rows(text, Format::Csv), [Ok((2, mark)), Ok((3, anna))]);
    }

    #[test]
    fn a_file_that_is_not_understood_is_told_with_its_line() {
        for (text, line, reason) in [
            ("login,pasword\nmark,x\n", 1, "did you mean 'password'"),
            ("login;password\nmark;x\n", 1, "separated by commas"),
            ("login,login\n", 1, "twice"),
            ("username\n", 1, "no column 'login'"),
            ("login,age\nmark,1\nanna\n", 3, "1 cells, and the first line names 2"),
        ] {
            let (found, said) = rows(text, Format::Csv).pop().unwrap().unwrap_err();
            assert!(found == line && said.contains(reason), "{text:?}: {found} {said}");
        }
        let wrong = rows("{\"login\":\"a\"}\n{\"login\":\n\"a\",}", Format::Json).pop().unwrap().unwrap_err();
        assert_eq!(wrong, (3, "this is not valid JSON".to_owned()));
        let unknown = rows("{\"login\":\"a\",\"group\":[]}", Format::Json).pop().unwrap().unwrap_err();
        assert!(unknown.1.contains("did you mean 'groups'"), "{unknown:?}");
    }

    #[test]
    fn rows_after_one_with_too_few_cells_are_still_read() {
        let found = rows("login,age\nmark\nanna,3\n", Format::Csv);
        assert!(matches!(&found[..], [Err((2, _)), Ok((3, _))]), "{found:?}");
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_take_the_whole_file() {
        let endless = io::BufReader::new(Read::chain(&b"login\n\""[..], io::repeat(b'x')));
        let mut rows = Rows::new(Box::new(endless), Format::Csv);
        let mistake = rows.next().unwrap().err().unwrap();
        assert!(mistake.message.contains("is a quote not closed"), "{}", mistake.message);
        assert!(rows.next().is_none());
    }
}
