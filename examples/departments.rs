//! Users are authenticated by code of your own, put into the group of their department, and told about each other.
//!
//! This is "Mapping Groups and Connections", the post whose system Folkmoot follows, call by call. Run it and connect
//! twice, with [websocat](https://github.com/vi/websocat) for instance:
//!
//! ```sh
//! cargo run --example departments
//! websocat --basic-auth user-1:password-1 ws://127.0.0.1:8080/ws
//! websocat --basic-auth user-2:password-2 ws://127.0.0.1:8080/ws
//! ```
//!
//! The members of a department read "Mark has logged in." and "Mark has disconnected."; any line that you type has the
//! server send its four broadcasts, and you see those that are for your groups.

use std::borrow::Cow;
use std::error::Error;

use folkmoot::config::{Config, RawClients};
use folkmoot::messages::Refusal;
use folkmoot::{
    Authentication, Connecting, Data, GroupName, Hooks, Hub, Identity, Incoming, Joined, Left, LoginAttempt, Server,
    Target, UserData, UserId, Verdict,
};

/// `TsgcUser`: what every connection carries, readable at each of its later events.
#[derive(serde::Serialize)]
struct Employee {
    username: &'static str,
    department: &'static str,
    phone: &'static str,
    age: u32,
}

impl UserData for Employee {
    const FIELDS: &'static [&'static str] = &["username", "department", "phone", "age"];

    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "username" => Some(self.username.into()),
            "department" => Some(self.department.into()),
            "phone" => Some(self.phone.into()),
            "age" => Some(self.age.to_string().into()),
            _ => None,
        }
    }
}

/// The users are usually in a database; here they are hard-coded for simplicity.
fn employee(login: &str, password: &str) -> Option<Employee> {
    let (username, department, phone, age) = match (login, password) {
        ("user-1", "password-1") => ("Mark", "Sales", "+55431588744134", 22),
        ("user-2", "password-2") => ("Anna", "sales/europe", "+4917600000", 31),
        ("user-3", "password-3") => ("Ines", "accounting", "+34600000", 45),
        _ => return None,
    };
    Some(Employee { username, department, phone, age })
}

struct Departments;

impl Hooks<Employee> for Departments {
    /// `OnServerAuthentication`: `Connection.Data := oUser`.
    async fn authenticate(&self, attempt: &LoginAttempt) -> Authentication<Employee> {
        let Some(employee) = employee(&attempt.login, &attempt.password) else { return Authentication::Denied };
        let Ok(user_id) = UserId::parse(&attempt.login) else { return Authentication::Denied };
        Authentication::Accepted(Identity::new(user_id, employee))
    }

    /// `OnServerConnect`: `Server.Groups.Add(Department, Connection)`, as often as need be. The join rule
    /// `{department}` of the configuration does the same without code.
    async fn connect(&self, connecting: &mut Connecting<Employee>) -> Result<(), String> {
        let employee = connecting.connection.user.as_ref().ok_or("This server is for employees.")?;
        let department = GroupName::parse(employee.department, true).map_err(|error| error.to_string())?;
        connecting.groups.push(department);
        Ok(())
    }

    /// `Groups.OnClientAdded`.
    async fn client_added(&self, hub: &Hub<Employee>, joined: &Joined<Employee>) {
        let Some(employee) = &joined.connection.user else { return };
        let text = format!("{} has logged in.", employee.username);
        // Refused only by a hub that has ended, which has nobody to be told.
        let _ = hub.broadcast(Target::Group(joined.group.clone()), Data::text(text)).await;
    }

    /// `Groups.OnClientRemoved`. That the connection leaves its groups when it ends needs no code.
    async fn client_removed(&self, hub: &Hub<Employee>, left: &Left<Employee>) {
        let Some(employee) = &left.connection.user else { return };
        let text = format!("{} has disconnected.", employee.username);
        let _ = hub.broadcast(Target::Group(left.group.clone()), Data::text(text)).await;
    }

    /// Whatever somebody says has the server send its broadcasts.
    async fn message(&self, hub: &Hub<Employee>, _said: &Incoming<Employee>) -> Verdict {
        match broadcasts(hub).await {
            Ok(()) => Verdict::Handled,
            Err(refusal) => Verdict::Reply(Data::text(refusal.to_string())),
        }
    }
}

/// `Server.Groups.Broadcast`, four times.
async fn broadcasts(hub: &Hub<Employee>) -> Result<(), Refusal> {
    // All members.
    hub.broadcast(target("*")?, Data::text("Hello All Members.")).await?;
    // Only group "admin".
    hub.broadcast(target("admin")?, Data::text("Hello Admin Members.")).await?;
    // All sales groups: sales/asia, sales/europe, sales/america, but not Sales.
    hub.broadcast(target("sales/*")?, Data::text("Hello Sales Members.")).await?;
    // Only group "accounting", which must exist: there is nobody in it before user-3 has logged in.
    let Target::Group(accounting) = target("accounting")? else { return Ok(()) };
    hub.broadcast_to(accounting, Data::text("Hello Accounting Members.")).await?;
    Ok(())
}

fn target(text: &str) -> Result<Target, Refusal> {
    Target::parse(text, true).map_err(|error| Refusal::new(folkmoot::ErrorCode::BadRequest, error.to_string()))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.server.port = std::env::args().nth(1).map_or(Ok(8080), |port| port.parse())?;
    config.hubs.settings.join.clear();
    config.hubs.settings.raw_clients = RawClients::Event;
    config.validate_for::<Employee>()?;

    // No user of a store becomes an employee: there is none.
    let server = Server::with_user_data(config, |_| None).without_store().hooks(Departments);
    let running = server.start().await?;
    println!("ws://{}/ws", running.address());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
