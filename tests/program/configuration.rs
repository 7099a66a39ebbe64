//! File, environment and flags.

use crate::process::Workplace;

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_spelling() {
    let workplace = Workplace::with_config("log:\n  level: info\nserver:\n  prot: 1\n");
    for command in [&["serve"][..], &["config", "check"], &["user", "list"]] {
        let output = workplace.run(command);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("config.yaml:4") && said.contains("prot") && said.contains("'port'"), "{said}");
    }
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let file = "hubs:\n  default: from_file\n";
    let greeting = |workplace: Workplace, arguments: &[&str]| workplace.serve(arguments).greeting().to_owned();
    let hub = |name: &str| format!("(hub {name};");
    assert!(greeting(Workplace::with_config(file), &[]).contains(&hub("from_file")));
    let with_both = || Workplace::with_config(file).env("FOLKMOOT__HUBS__DEFAULT", "from_env");
    assert!(greeting(with_both(), &[]).contains(&hub("from_env")));
    assert!(greeting(with_both(), &["--set", "hubs.default=from_flag"]).contains(&hub("from_flag")));
}

#[test]
fn config_check_says_ok_or_every_mistake_and_starts_nothing() {
    let demo = Workplace::demo();
    assert_eq!(demo.ok(&["config", "check"], ""), "ok: config.yaml\n");
    assert!(!demo.path().join("data").exists());

    let wrong = Workplace::with_config("limits:\n  connections: many\nheartbeat:\n  ping_interval: 0s\n");
    let output = wrong.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("limits.connections"), "{}", stderr(&output));
}

#[test]
fn a_file_that_is_asked_for_must_exist() {
    let output = Workplace::empty().run(&["-c", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("nowhere.yaml"), "{}", stderr(&output));
}

#[test]
fn a_password_in_a_wrong_setting_is_not_repeated() {
    let workplace = Workplace::empty().env("FOLKMOOT__USERS__DATABASE", "mysql://me:hunter2hunter2@host/db");
    let output = workplace.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
}
