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
fn config_show_tells_what_is_in_effect_and_where_each_value_comes_from() {
    let workplace = Workplace::with_config("log: { level: debug }\nserver:\n  workers: 3\n")
        .env("FOLKMOOT__LIMITS__CONNECTIONS", "50")
        .env("FOLKMOOT__AUTH__ACCESS_KEYS", "hunter2-hunter2-hunter2-hunter2-hunter2")
        .env("FOLKMOOT__USERS__DATABASE", "postgres://me:hunter2@db/users");
    let shown = |arguments: &[&str]| {
        let text = workplace.ok(&[&["config", "show", "--set", "hubs.default=a.b"], arguments].concat(), "");
        assert!(!text.contains("hunter2"), "{text}");
        text
    };
    let plain = shown(&[]);
    assert!(plain.contains("\nserver:\n") && plain.contains("  workers: 3\n"), "{plain}");
    let json: serde_json::Value = serde_json::from_str(&shown(&["--json"])).unwrap();
    assert_eq!((&json["limits"]["connections"], &json["hubs"]["default"]), (&50.into(), &"a.b".into()));
    let origins = shown(&["--origin"]);
    for (setting, origin) in [
        ("server.workers: 3", "config.yaml:3"),
        ("log.level: debug", "config.yaml:1"),
        ("limits.connections: 50", "FOLKMOOT__LIMITS__CONNECTIONS"),
        ("hubs.default: a.b", "--set hubs.default"),
        ("server.port: 8080", "default"),
    ] {
        let line =
            origins.lines().find(|line| line.starts_with(setting)).unwrap_or_else(|| panic!("{setting}\n{origins}"));
        assert!(line.ends_with(&format!("  # {origin}")), "{line}");
    }
    let lines = shown(&["--origin", "--json"]);
    let all: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), origins.lines().count());
    assert!(all.iter().all(|one| one["key"].is_string() && one["origin"].is_string()), "{lines}");
    assert!(!workplace.path().join("data").exists());
}

#[test]
fn what_config_show_prints_is_a_configuration() {
    let workplace = Workplace::demo();
    let shown = workplace.ok(&["config", "show"], "");
    std::fs::write(workplace.path().join("shown.yaml"), &shown).unwrap();
    assert_eq!(workplace.ok(&["config", "show", "-c", "shown.yaml"], ""), shown);
}

#[test]
fn config_init_writes_the_shipped_file_and_nothing_over_another() {
    let workplace = Workplace::empty();
    let said = workplace.ok(&["config", "init"], "");
    assert!(said.contains("config.yaml is written"), "{said}");
    let file = workplace.path().join("config.yaml");
    let shipped = include_str!("../../config.yaml");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), shipped);
    assert_eq!(workplace.ok(&["config", "check"], ""), "ok: config.yaml\n");

    std::fs::write(&file, "log: {level: warn}").unwrap();
    let output = workplace.run(&["config", "init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "log: {level: warn}");
    workplace.ok(&["config", "init", "--force"], "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), shipped);
    assert_eq!(workplace.ok(&["config", "init", "-"], ""), shipped);
    // A broken file does not keep anybody from a good one.
    std::fs::write(&file, "serv: 1").unwrap();
    workplace.ok(&["config", "init", "--force"], "");
    let nowhere = workplace.run(&["config", "init", "no/such/folder.yaml"]);
    assert!(nowhere.status.code() == Some(1) && stderr(&nowhere).contains("no/such/folder.yaml"));
}

#[test]
fn completions_are_scripts_that_know_the_commands() {
    let workplace = Workplace::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = workplace.ok(&["completions", shell], "");
        assert!(script.contains("folkmoot") && script.contains("connection-string"), "{shell}: {script}");
    }
    std::fs::write(workplace.path().join("folkmoot.bash"), workplace.ok(&["completions", "bash"], "")).unwrap();
    let ask = "source ./folkmoot.bash; COMP_WORDS=(folkmoot us); COMP_CWORD=1; _folkmoot folkmoot us folkmoot; echo ${COMPREPLY[@]}";
    let output = std::process::Command::new("bash").args(["-c", ask]).current_dir(workplace.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "user\n", "{}", String::from_utf8_lossy(&output.stderr));
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
