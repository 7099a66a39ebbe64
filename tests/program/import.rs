//! `folkmoot user import`: all of a file or nothing of it.

use std::process::Output;

use serde_json::{Value, json};

use crate::client::{Client, basic};
use crate::process::Workplace;

const HEADER: &str = "login,password,username,age,groups,roles,hubs,data,disabled";

fn workplace() -> Workplace {
    Workplace::with_config("users: { revision_interval: 100ms }\nhubs: { default: chat }\n")
}

fn import(workplace: &Workplace, file: &str, text: &str, more: &[&str]) -> Output {
    std::fs::write(workplace.path().join(file), text).unwrap();
    workplace.run(&[&["user", "import", file], more].concat())
}

fn imported(workplace: &Workplace, file: &str, text: &str, more: &[&str]) -> String {
    let output = import(workplace, file, text, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What was said about a file with mistakes.
fn refused(output: &Output) -> Vec<String> {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(65), "{said}");
    let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
    assert_eq!(lines.pop().as_deref(), Some("nothing was imported"));
    lines
}

fn show(workplace: &Workplace, login: &str) -> Value {
    serde_json::from_str(&workplace.ok(&["user", "show", login, "--json"], "")).unwrap()
}

#[test]
fn the_users_of_a_csv_file_can_log_in_with_all_that_it_says_of_them() {
    let workplace = workplace();
    let text = format!(
        "{HEADER}\nmark,\"correct horse, battery\",Mark,22,admin;sales/eu,webpubsub.sendToGroup;chat:folkmoot.listGroups,*,\"{{\"\"desk\"\":7}}\",\n\
         anna,correct horse,,,,,,,true\n"
    );
    assert_eq!(imported(&workplace, "people.csv", &text, &[]), "2 added, 0 changed, 0 unchanged.\n");
    let mark = show(&workplace, "mark");
    let expected = json!({
        "login": "mark", "username": "Mark", "department": null, "phone": null, "age": 22,
        "groups": ["admin", "sales/eu"], "roles": ["webpubsub.sendToGroup", "chat:folkmoot.listGroups"],
        "hubs": ["*"], "data": { "desk": 7 }, "disabled": false, "demo": false,
    });
    assert_eq!(mark, expected);
    let server = workplace.serve(&[]);
    Client::connect(server.address, "mark", "correct horse, battery");
    let anna = basic("anna", "correct horse");
    assert_eq!(Client::try_connect(server.address, &[("Authorization", &anna)]).err(), Some(401), "disabled");
}

#[test]
fn a_file_with_mistakes_names_each_with_its_line_and_changes_nothing() {
    let workplace = workplace();
    let text = format!(
        "{HEADER}\nmark,correct horse,,,,,,,\nanna,short,,old,sales/*,fly,,,\nmark,correct horse,,,,,,,\nkenji,,,,,,,,\ninés\n"
    );
    let told = refused(&import(&workplace, "people.csv", &text, &[]));
    let expected = [
        "line 3: age: a whole number",
        "line 3: groups: 'sales/*': ",
        "line 3: roles: unknown role 'fly'",
        "line 3: password: a password has at least 8",
        "line 4: the user 'mark' is in line 2 already",
        "line 5: the new user 'kenji' has neither",
        "line 6: there are 1 cells",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    assert!(!workplace.path().join("data").exists(), "no store is made");
}

#[test]
fn no_password_of_a_file_with_mistakes_is_repeated() {
    let workplace = workplace();
    let json = r#"[{"login": "mark", "password": "swordfish", "password_hash": "sturgeon-hash"},
        {"login": "anna", "password": ["swordfish"]}, {"login": "ines", "password": "swordfish" "oops"}]"#;
    let csv = "login,password\nmark,swordfish\x01\n";
    for (file, text) in [("people.json", json), ("people.csv", csv)] {
        let told = refused(&import(&workplace, file, text, &[])).join("\n");
        assert!(!told.is_empty() && !told.contains("swordfish") && !told.contains("sturgeon"), "{told}");
    }
}

#[test]
fn those_who_are_there_are_changed_only_when_asked_for_and_only_in_what_the_file_says() {
    let workplace = workplace();
    workplace.add_user("mark", "correct horse", &["--username", "Mark", "--age", "22", "--group", "admin"]);
    workplace.add_user("anna", "correct horse", &["--username", "Anna"]);
    let text = "login,age,password,groups\nmark,,,board\nines,30,battery staple,\n";
    let told = refused(&import(&workplace, "people.csv", text, &[]));
    assert!(told.len() == 1 && told[0].contains("line 2: there is a user 'mark' already; --update"), "{told:?}");

    let done = imported(&workplace, "people.csv", text, &["--update"]);
    assert_eq!(done, "1 added, 1 changed, 0 unchanged.\n");
    let mark = show(&workplace, "mark");
    assert_eq!((&mark["username"], &mark["age"], &mark["groups"]), (&json!("Mark"), &Value::Null, &json!(["board"])));
    let server = workplace.serve(&[]);
    Client::connect(server.address, "mark", "correct horse");
    Client::connect(server.address, "ines", "battery staple");
}

#[test]
fn what_user_list_prints_can_be_imported_again() {
    let workplace = workplace();
    workplace.add_user("mark", "correct horse", &["--group", "a", "--data", r#"{"x":[1]}"#]);
    workplace.add_user("anna", "correct horse", &["--hub", "*"]);
    let listed = workplace.ok(&["user", "list", "--json"], "");
    let import = ["user", "import", "-", "--format", "json", "--update", "--json"];
    let done: Value = serde_json::from_str(&workplace.ok(&import, &listed)).unwrap();
    assert_eq!(done, json!({ "added": 0, "changed": 0, "unchanged": 2, "dryRun": false }));
    let changed = listed.replace("[1]", "[2]").replace(r#""disabled":false"#, r#""disabled":true"#);
    let done: Value = serde_json::from_str(&workplace.ok(&import, &changed)).unwrap();
    assert_eq!(done["changed"], 2);
    let mark = show(&workplace, "mark");
    assert_eq!((&mark["data"], &mark["disabled"]), (&json!({"x": [2]}), &json!(true)));
}

#[test]
fn a_hash_of_another_store_is_taken_as_it_is_and_one_that_is_not_understood_is_a_mistake() {
    // argon2id of "correct horse", by the reference implementation (argon2-cffi).
    let hash = "$argon2id$v=19$m=8192,t=2,p=1$c2FsdHNhbHRzYWx0$4I8zlfTUebckEgII8IhvQlUSJW6JuUnHK8jTtAnBXaU";
    let workplace = workplace();
    let good = json!([{ "login": "mark", "password_hash": hash }]).to_string();
    imported(&workplace, "people.json", &good, &[]);
    let bcrypt =
        json!([{ "login": "anna", "password_hash": "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ0123" }]);
    let told = refused(&import(&workplace, "people.json", &bcrypt.to_string(), &[]));
    assert!(told[0].contains("line 1: password_hash: the password hash is not an Argon2id PHC string"), "{told:?}");
    let server = workplace.serve(&[]);
    Client::connect(server.address, "mark", "correct horse");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let workplace = workplace();
    let text = "login,password\nmark,correct horse\nanna,correct horse\n";
    let done = imported(&workplace, "people.csv", text, &["--dry-run"]);
    assert_eq!(done, "2 added, 0 changed, 0 unchanged (dry run: nothing was changed).\n");
    assert!(!workplace.path().join("data").exists());
}

#[test]
fn a_file_of_unknown_kind_or_none_is_one_sentence() {
    let workplace = workplace();
    for (arguments, input, reason) in [
        (&["user", "import", "-"][..], "login\n", "--format csv or --format json"),
        (&["user", "import", "people.xlsx"], "", "--format"),
        (&["user", "import", "nowhere.csv"], "", "nowhere.csv cannot be read"),
        (&["user", "import", "."], "", "--format"),
    ] {
        let output = workplace.run_with_input(arguments, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains(reason), "{arguments:?}: {said}");
    }
}
