//! The system that Folkmoot implements, row by row of the table "Where it comes from".

use folkmoot::{
    Connecting, Connection, Data, Disconnected, ErrorCode, Hooks, Hub, HubName, Incoming, Joined, Left, Server, Target,
    User, Verdict,
};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::support::{DEADLINE, Setup, group, on_both_transports, text_to};

on_both_transports! {
    on_authentication_basic_against_the_user_store,
    connection_data_is_readable_at_every_later_event,
    on_connect_puts_the_connection_into_its_department_and_further_groups,
    a_disconnect_removes_the_connection_from_all_groups_by_itself,
    client_added_and_removed_announce_mark_has_logged_in_and_has_disconnected,
    client_added_and_removed_as_hooks_send_what_they_like,
    broadcast_to_star_admin_and_a_mask,
    broadcast_to_accounting_must_exist,
}

async fn on_authentication_basic_against_the_user_store(setup: Setup) {
    let server = setup.start().await;
    let mark = server.connect("user-1", "password-1").await;
    assert_eq!(mark.greeting["userId"], "user-1");
    for (login, password) in [("user-1", "password-2"), ("user-1", ""), ("user-9", "password-9"), ("", "")] {
        let refused = server.handshake().basic(login, password).refused(401).await;
        let challenge = r#"Basic realm="folkmoot", charset="UTF-8""#;
        assert_eq!(refused.headers["www-authenticate"], challenge, "{login}:{password}");
    }
}

/// Tells a test what its hooks were called with.
struct Watcher(UnboundedSender<String>);

impl Watcher {
    fn new() -> (Self, Calls) {
        let (calls, told) = unbounded_channel();
        (Watcher(calls), Calls(told))
    }

    fn tell(&self, event: &str, connection: &Connection<User>) {
        let user = connection.user.as_ref().unwrap();
        let (name, department) = (user.username.as_ref().unwrap(), user.department.as_ref().unwrap());
        let call = format!("{event}: {name}, {department}, {}, {}", user.phone.as_ref().unwrap(), user.age.unwrap());
        self.0.send(call).unwrap();
    }
}

struct Calls(UnboundedReceiver<String>);

impl Calls {
    async fn expect(&mut self, call: &str) {
        let next = timeout(DEADLINE, self.0.recv()).await.unwrap_or_else(|_| panic!("no {call}"));
        assert_eq!(next.unwrap(), format!("{call}: Mark, Sales, +55431588744134, 22"));
    }
}

impl Hooks<User> for Watcher {
    async fn connect(&self, connecting: &mut Connecting<User>) -> Result<(), String> {
        self.tell("connect", &connecting.connection);
        Ok(())
    }

    async fn client_added(&self, _: &Hub<User>, joined: &Joined<User>) {
        self.tell(&format!("added to {}", joined.group), &joined.connection);
    }

    async fn client_removed(&self, _: &Hub<User>, left: &Left<User>) {
        self.tell(&format!("removed from {} ({})", left.group, left.reason), &left.connection);
    }

    async fn message(&self, _: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        self.tell("message", &incoming.connection);
        Verdict::Allow
    }

    async fn disconnect(&self, _: &Hub<User>, disconnected: &Disconnected<User>) {
        self.tell("disconnect", &disconnected.connection);
    }
}

async fn connection_data_is_readable_at_every_later_event(setup: Setup) {
    let (watcher, mut calls) = Watcher::new();
    let server = setup.start_with(|config| Server::new(config).hooks(watcher)).await;
    let mut mark = server.demo(1).await;
    let user =
        json!({"login": "user-1", "username": "Mark", "department": "Sales", "phone": "+55431588744134", "age": 22});
    assert_eq!(mark.greeting["user"], user);
    calls.expect("connect").await;
    calls.expect("added to Sales").await;
    mark.publish("Sales", "Hello").await;
    calls.expect("message").await;
    mark.expect_message("Sales", "Hello").await;
    mark.join("later").await;
    calls.expect("added to later").await;
    mark.leave("later").await;
    calls.expect("removed from later (left)").await;
    mark.close(Some(1000)).await;
    calls.expect("removed from Sales (disconnected)").await;
    calls.expect("disconnect").await;
}

async fn on_connect_puts_the_connection_into_its_department_and_further_groups(setup: Setup) {
    let server = setup.start().await;
    for (number, groups) in [
        (1, json!(["Sales"])),
        (2, json!(["sales/europe"])),
        (3, json!(["sales/asia"])),
        (4, json!(["accounting", "admin"])),
    ] {
        let mut client = server.demo(number).await;
        assert_eq!(client.greeting["groups"], groups);
        let listed = client.ask_ok(json!({"type": "listGroups"})).await;
        let names: Vec<_> = listed["groups"].as_array().unwrap().iter().map(|group| group["group"].clone()).collect();
        assert_eq!(json!(names), groups);
    }
    let mut ines = server.demo(4).await;
    ines.join("at any later time").await;
    ines.publish("at any later time", "me too").await;
    ines.expect_message("at any later time", "me too").await;
}

async fn a_disconnect_removes_the_connection_from_all_groups_by_itself(setup: Setup) {
    let server = setup.announcing().start().await;
    let mut anna = server.demo(2).await;
    let groups = ["Sales", "lunch", "sales/europe"];
    for group in ["lunch", "Sales"] {
        anna.join(group).await;
    }
    for group in ["sales/europe", "lunch", "Sales"] {
        anna.expect_message(group, "Anna has logged in.").await;
    }
    for end in ["a close frame", "no close frame", "a violation of the protocol"] {
        let mut mark = server.demo(1).await;
        for group in ["lunch", "sales/europe"] {
            mark.join(group).await;
        }
        let mark_id = mark.id().to_owned();
        for group in ["Sales", "lunch", "sales/europe"] {
            anna.expect_message(group, "Mark has logged in.").await;
        }
        match end {
            "a close frame" => drop(mark.close(None).await),
            "no close frame" => mark.abort(),
            _ => mark.send_text("not JSON").await,
        }
        for group in groups {
            let told = anna.expect_message(group, "Mark has disconnected.").await;
            assert_eq!(told["announcement"]["connectionId"], mark_id, "after {end}");
        }
        for group in groups {
            let listed = anna.ask_ok(json!({"type": "listMembers", "group": group})).await;
            let members = listed["members"].as_array().unwrap();
            assert_eq!(members.len(), 1, "after {end}: {listed}");
        }
        // Once each.
        anna.expect_silence().await;
    }
}

async fn client_added_and_removed_announce_mark_has_logged_in_and_has_disconnected(setup: Setup) {
    let server = setup.announcing().start().await;
    let mut mark = server.demo(1).await;
    let joined = mark.expect_message("Sales", "Mark has logged in.").await;
    let user = json!({"username": "Mark", "department": "Sales"});
    let about = json!({"event": "joined", "connectionId": mark.id(), "userId": "user-1", "user": user});
    let message = json!({"type": "message", "from": "group", "group": "Sales", "dataType": "text",
        "data": "Mark has logged in.", "announcement": about});
    assert_eq!(joined, message);

    let mut anna = server.demo(2).await;
    anna.expect_message("sales/europe", "Anna has logged in.").await;
    anna.join("Sales").await;
    anna.expect_message("Sales", "Anna has logged in.").await;
    mark.expect_message("Sales", "Anna has logged in.").await;
    let mark_id = mark.id().to_owned();
    mark.close(Some(1000)).await;
    let left = anna.expect_message("Sales", "Mark has disconnected.").await;
    let about = json!({"event": "left", "reason": "disconnected", "connectionId": mark_id, "userId": "user-1",
        "user": user});
    assert_eq!(left["announcement"], about);
}

/// The two handlers of the original, by hand.
struct Original;

impl Original {
    async fn tell(hub: &Hub<User>, joined: &Connection<User>, group: &folkmoot::GroupName, what: &str) {
        let name = joined.user.as_ref().and_then(|user| user.username.clone()).unwrap();
        let data = Data::text(format!("{name} {what}"));
        hub.broadcast(Target::Group(group.clone()), data).await.unwrap();
    }
}

impl Hooks<User> for Original {
    async fn client_added(&self, hub: &Hub<User>, joined: &Joined<User>) {
        Original::tell(hub, &joined.connection, &joined.group, "has logged in.").await;
    }

    async fn client_removed(&self, hub: &Hub<User>, left: &Left<User>) {
        Original::tell(hub, &left.connection, &left.group, "has disconnected.").await;
    }
}

async fn client_added_and_removed_as_hooks_send_what_they_like(setup: Setup) {
    let server = setup.start_with(|config| Server::new(config).hooks(Original)).await;
    let mut anna = server.demo(2).await;
    anna.expect_message("sales/europe", "Anna has logged in.").await;
    anna.join("Sales").await;
    anna.expect_message("Sales", "Anna has logged in.").await;
    let mut mark = server.demo(1).await;
    mark.expect_message("Sales", "Mark has logged in.").await;
    anna.expect_message("Sales", "Mark has logged in.").await;
    mark.abort();
    anna.expect_message("Sales", "Mark has disconnected.").await;
}

async fn broadcast_to_star_admin_and_a_mask(setup: Setup) {
    let server = setup.user("nowhere", |_| {}).start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    let (mut kenji, mut ines) = (server.demo(3).await, server.demo(4).await);
    let mut nowhere = server.user("nowhere").await;
    assert_eq!(nowhere.greeting["groups"], json!([]));

    mark.publish("*", "Hello All Members.").await;
    mark.expect_message("Sales", "Hello All Members.").await;
    anna.expect_message("sales/europe", "Hello All Members.").await;
    kenji.expect_message("sales/asia", "Hello All Members.").await;
    // Ines is in two groups and hears it once, in the name of the first.
    let heard = ines.expect_message("accounting", "Hello All Members.").await;
    assert_eq!(heard["mask"], "*");
    assert_eq!(heard["fromUserId"], "user-1");

    mark.publish("admin", "Hello Admin Members.").await;
    let heard = ines.expect_message("admin", "Hello Admin Members.").await;
    assert_eq!(heard.get("mask"), None);

    mark.publish("sales/*", "Hello Sales Members.").await;
    let heard = anna.expect_message("sales/europe", "Hello Sales Members.").await;
    assert_eq!(heard["mask"], "sales/*");
    kenji.expect_message("sales/asia", "Hello Sales Members.").await;
    // `Sales` is not matched by `sales/*`, and whoever is in no group is not reached by `*`.
    for client in [&mut mark, &mut anna, &mut kenji, &mut ines, &mut nowhere] {
        client.expect_silence().await;
    }
}

async fn broadcast_to_accounting_must_exist(setup: Setup) {
    let server = setup.start().await;
    let chat = HubName::parse("chat").unwrap();
    let lease = server.run(move |running| running.hub(&chat).unwrap()).await;
    let broadcast = async |text: &'static str| lease.hub().broadcast_to(group("accounting"), Data::text(text)).await;
    let mut mark = server.demo(1).await;
    let mut insisting = text_to("accounting", "from Mark");
    insisting["mustExist"] = true.into();

    let refused = mark.ask_refused(insisting.clone(), "NotFound").await;
    assert!(refused.contains("accounting"), "{refused}");
    assert_eq!(broadcast("nobody there").await.unwrap_err().code, ErrorCode::NotFound);
    // Without insisting it succeeds and reaches nobody.
    mark.publish("accounting", "nobody there").await;

    let mut ines = server.demo(4).await;
    mark.ask_ok(insisting).await;
    ines.expect_message("accounting", "from Mark").await;
    assert_eq!(broadcast("from the server").await.unwrap().groups, 1);
    ines.expect_message("accounting", "from the server").await;
    ines.expect_silence().await;
}
