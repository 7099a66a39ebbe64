//! What filters mean, and that no text is too much for them.

use proptest::prelude::*;

use super::*;

fn facts() -> Facts<'static> {
    Facts {
        connection_id: "c-1",
        user_id: Some("User-1"),
        subprotocol: Some("json.webpubsub.azure.v1"),
        groups: &["Sales", "sales/europe"],
    }
}

fn anonymous() -> Facts<'static> {
    Facts { user_id: None, subprotocol: None, groups: &[] as &[&str; 0], ..facts() }
}

fn is_true(filter: &str, facts: &Facts<'_>) -> bool {
    filter.parse::<Filter>().unwrap_or_else(|error| panic!("{filter}: {error}")).matches(facts)
}

fn error(filter: &str) -> String {
    filter.parse::<Filter>().expect_err(filter).to_string()
}

#[test]
fn every_operator_and_function_does_what_it_is_for() {
    for filter in [
        "userId eq 'User-1'",
        "userId ne 'User-2'",
        "USERID eq 'User-1' and ConnectionID eq 'c-1'",
        "userId ne 'user-1'",
        "protocol eq 'json.webpubsub.azure.v1'",
        "'Sales' in groups",
        "not ('sales' in groups)",
        "'a' in ('b', 'a')",
        "userId in ('User-1','User-2')",
        "length(groups) eq 2",
        "length(userId) gt 5 and length(userId) lt 7 and length(userId) ge 6 and length(userId) le +6",
        "-1 lt 0",
        "tolower(userId) eq 'user-1'",
        "toupper(userId) eq 'USER-1'",
        "trim('  a ') eq 'a'",
        "trim(concat(' ', userId)) eq 'User-1'",
        "substring(userId, 5) eq '1'",
        "substring(userId, 0, 4) eq 'User'",
        "substring(userId, 99) eq '' and substring(userId, -3, 1) eq 'U'",
        "indexof(userId, '-') eq 4",
        "indexof('äöü', 'ü') eq 2",
        "indexof(userId, 'x') eq -1",
        "concat(concat('a', 'b'), 'c') eq 'abc'",
        "contains(userId, 'ser')",
        "startswith(userId, 'User')",
        "endswith(userId, '-1')",
        "'it''s' eq concat('it', '''s')",
        "true",
        "not false",
        "1 eq 1 eq true",
        "tolower(concat(userId,'X'))eq'user-1x'",
    ] {
        assert!(is_true(filter, &facts()), "{filter}");
        assert!(!is_true(&format!("not ({filter})"), &facts()), "not ({filter})");
    }
}

#[test]
fn what_a_connection_does_not_have_is_null() {
    for filter in [
        "userId eq null",
        "protocol eq null",
        "null in (null)",
        "length(userId) eq null",
        "tolower(userId) eq null and concat(userId, 'x') eq null and substring(userId, 0) eq null",
        "indexof(userId, 'a') eq -1",
        "length(groups) eq 0",
    ] {
        assert!(is_true(filter, &anonymous()), "{filter}");
        assert!(!is_true(&format!("not ({filter})"), &anonymous()), "{filter}");
    }
    for filter in [
        "length(userId) gt 0",
        "length(userId) le 0",
        "null gt 1",
        "contains(userId, '')",
        "startswith(userId, '')",
        "endswith('a', userId)",
        "userId in groups",
        "userId eq ''",
    ] {
        assert!(!is_true(filter, &anonymous()), "{filter}");
    }
    assert!(is_true("contains(userId, '')", &facts()));
}

#[test]
fn not_binds_tighter_than_a_comparison_and_that_tighter_than_and_and_that_than_or() {
    assert!(is_true("true or false and false", &facts()));
    assert!(!is_true("(true or false) and false", &facts()));
    assert!(is_true("not false and not false", &facts()));
    assert!(is_true("not true eq false", &facts()), "(not true) eq false");
    assert!(error("not length(userId) gt 5").contains("\"not\" needs true or false and not a number"));
    assert!(is_true("not (length(userId) gt 6)", &facts()));
}

#[test]
fn what_is_no_filter_says_what_is_wrong_and_where() {
    for (filter, expected) in [
        ("", "a value is missing at character 1 of the filter"),
        ("userId eq", "a value is missing at character 10"),
        ("userId eq 'a", "a text without its closing quote at character 11"),
        ("userId = 'a'", "'=' means nothing here at character 8"),
        ("user eq 'a'", "\"user\" is nothing that a filter knows at character 1"),
        ("userId EQ 'a'", "\"EQ\" stands where the end or an operator should be at character 8"),
        ("Length(userId) gt 1", "there is no function \"Length\" at character 1"),
        ("any(groups, 'a')", "there is no function \"any\""),
        ("(true", "a closing parenthesis is missing at character 6"),
        ("true)", "\")\" stands where the end or an operator should be at character 5"),
        ("true true", "\"true\" stands where the end or an operator should be at character 6"),
        ("userId in 'a'", "a text stands where groups or a list in parentheses should be"),
        ("userId in ()", "\")\" stands where a value should be"),
        ("userId in ('a' 'b')", "a text stands where a comma or a closing parenthesis should be"),
        ("userId in ('a', userId)", "\"userId\" stands where a value should be"),
        ("1 eq 99999999999999999999", "\"99999999999999999999\" is no whole number of 64 bits at character 6"),
        ("1 eq 1.5", "\"1.5\" is no whole number"),
        ("userId", "a filter needs true or false and not a text at character 1"),
        ("null", "a filter needs true or false and not null"),
        ("true and userId", "\"and\" needs true or false and not a text at character 10"),
        ("true or null", "\"or\" needs true or false and not null"),
        ("userId gt 5", "\"gt\" needs a number and not a text at character 1"),
        ("5 lt 'a'", "\"lt\" needs a number and not a text at character 6"),
        ("userId eq 5", "\"eq\" compares a text with a number, which are never the same"),
        ("groups eq null", "groups can only be asked for what is in them"),
        ("5 in groups", "groups are texts and not a number"),
        ("groups in ('a')", "\"in\" looks for the groups and finds a text"),
        ("userId in (5)", "\"in\" looks for a text and finds a number at character 12"),
        ("length() eq 1", "\")\" stands where a value should be"),
        ("length(userId, userId) eq 1", "length takes 1 arguments and not 2"),
        ("substring(userId) eq ''", "substring takes 2 or 3 arguments and not 1"),
        ("contains(userId, 5)", "contains needs a text and not a number at character 18"),
        ("tolower(groups) eq ''", "tolower needs a text and not the groups"),
        ("ä eq 1", "'ä' means nothing here at character 1"),
    ] {
        let error = error(filter);
        assert!(error.contains(expected), "{filter}: {error}");
    }
}

#[test]
fn what_would_never_be_looked_at_is_checked_all_the_same() {
    assert!(error("true or length(5) eq 1").contains("length needs a text"));
    assert!(error("false and userId").contains("\"and\" needs"));
}

#[test]
fn depth_and_length_are_bounded_and_a_long_chain_is_not_deep() {
    let nested = |depth| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(is_true(&nested(MAX_FILTER_DEPTH), &facts()));
    let at = MAX_FILTER_DEPTH + 1;
    assert_eq!(nested(at).parse::<Filter>(), Err(FilterError::TooDeep { at }));
    let negated = format!("{}true", "not ".repeat(MAX_FILTER_DEPTH + 1));
    assert!(matches!(negated.parse::<Filter>(), Err(FilterError::TooDeep { .. })));
    let called = format!("{}'a'{} eq 'a'", "trim(".repeat(MAX_FILTER_DEPTH + 1), ")".repeat(MAX_FILTER_DEPTH + 1));
    assert!(matches!(called.parse::<Filter>(), Err(FilterError::TooDeep { .. })));
    let long = vec!["userId eq 'somebody'"; 600].join(" or ");
    assert!(!is_true(&long, &facts()));
    let longer = vec!["true"; MAX_FILTER_BYTES / 4].join(" or ");
    assert_eq!(longer.parse::<Filter>(), Err(FilterError::TooLong(longer.len())));
}

#[test]
fn functions_in_functions_are_looked_at_once() {
    let depth = MAX_FILTER_DEPTH / 2 - 1;
    let nested =
        format!("{}0{} eq ''", "substring('a', length(".repeat(depth), "))".repeat(depth)).replace("(0)", "('')");
    assert!(!is_true(&nested, &facts()), "{nested}");
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_an_error(text in "\\PC{0,60}") {
        if let Ok(filter) = text.parse::<Filter>() {
            let _: bool = filter.matches(&facts());
        }
    }

    #[test]
    fn any_row_of_the_words_of_filters_is_a_filter_or_an_error(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "(", ")", ",", "'a'", "''", "1", "-1", "true", "null", "not", "and", "or", "in", "eq", "gt", "userId",
            "groups", "length", "substring", "concat", "contains",
        ]),
        0..14,
    )) {
        if let Ok(filter) = words.join(" ").parse::<Filter>() {
            for facts in [facts(), anonymous()] {
                let _: bool = filter.matches(&facts);
            }
        }
    }

    #[test]
    fn a_text_in_quotes_is_itself_whatever_it_is(text in "\\PC{0,40}") {
        let quoted = text.replace('\'', "''");
        let facts = Facts { user_id: Some(&text), ..facts() };
        let filter = format!("userId eq '{quoted}'");
        prop_assert!(is_true(&filter, &facts));
    }
}
