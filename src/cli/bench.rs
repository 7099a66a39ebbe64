//! `folkmoot bench`: what a server can do, from a terminal or a script. The measuring itself is in `bench`.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{EXIT_FAILURE, Failure};
use crate::bench::scenario::{Churn, Connect, Ending, Everybody, Flood, Idle, Masks, Publish, Scenario, Shape};
use crate::bench::{Bench, BenchError, Credential, Pace, Progress, Report, Target, raise_descriptor_limit};

const EXAMPLES: &str = "\
Examples, against the demo server of config.yaml (PASSWORD=password-1 in the environment):
  folkmoot bench fanout --login user-1 --password-env PASSWORD
  folkmoot bench fanout --login user-1 --password-env PASSWORD --rate 40 --seconds 30
  folkmoot bench groups ws://127.0.0.1:8080/client/hubs/chat --token-env TOKEN --members 1000 --groups 100
  folkmoot bench connect --login user-1 --password-env PASSWORD --members 2000 --pid \"$(pgrep -x folkmoot)\"
  folkmoot bench idle --login user-1 --password-env PASSWORD --members 5000 --broadcasts 10 --json

All members are connections of the one user given, who needs the roles webpubsub.joinLeaveGroup and \
webpubsub.sendToGroup. For more than 100 of them start the server with, say, --set limits.connections_per_user=20000 (and \
limits.connections_per_address, from one machine); tokens without a user id count for no user. Announcements of the hub cost the server \
something and are not counted; for figures to compare, measure a hub without them.

Exit status: 0 when nothing was missing or out of order and no connection was lost, otherwise 1.";

/// Measure a server: deliveries, connects, memory
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    #[command(subcommand)]
    scenario: ScenarioArgs,
}

#[derive(Debug, Subcommand)]
enum ScenarioArgs {
    /// A few publishers and one group of all members: what a delivery costs
    Fanout {
        #[command(flatten)]
        load: LoadArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Members of many groups publish, each to its own: what a publish costs
    Groups {
        /// How many groups the members are spread over
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        groups: u32,
        #[command(flatten)]
        load: LoadArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Connections come as fast as they can, and each joins a group
    Connect {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Connections do nothing: what memory each takes (with --pid)
    Idle {
        /// Messages to all of them afterwards, ten a second, before memory is looked at again
        #[arg(long, default_value_t = 0, value_name = "COUNT")]
        broadcasts: u32,
        /// Bytes of a message
        #[arg(long, default_value_t = 128, value_name = "BYTES")]
        payload: usize,
        /// How long they are idle
        #[arg(long, default_value_t = 5.0, value_parser = seconds)]
        seconds: f64,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Connections come and go in rounds: whether the server gives their memory back (with --pid)
    Churn {
        /// How often they come and go
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..))]
        rounds: u32,
        /// Messages to all of them in each round
        #[arg(long, default_value_t = 0, value_name = "COUNT")]
        broadcasts: u32,
        /// Bytes of a message
        #[arg(long, default_value_t = 60_000, value_name = "BYTES")]
        payload: usize,
        /// How long they stay, and stay away
        #[arg(long, default_value_t = 3.0, value_parser = seconds)]
        seconds: f64,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// A mask that matches three of many groups, beside one group of three: what masks cost
    Masks {
        /// How many groups the members share (100 each by the server's default limit)
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
        groups: u32,
        /// How long each step is measured
        #[arg(long, default_value_t = 3.0, value_parser = seconds)]
        seconds: f64,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// A message to * in many groups, beside one to a group of the same members
    Everybody {
        /// How many groups the members are spread over
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        groups: u32,
        /// How long each step is measured
        #[arg(long, default_value_t = 3.0, value_parser = seconds)]
        seconds: f64,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// A connection in many groups ends: how long the acks of another take meanwhile
    Ending {
        /// How many groups it is in (at most limits.groups_per_connection of the server)
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        groups: u32,
        /// How long the acks are watched, before and after
        #[arg(long, default_value_t = 2.0, value_parser = seconds)]
        seconds: f64,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Many publishers into one group as fast as they are let; run `groups --rate` beside it to see what others feel
    Flood {
        /// How many publish
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        publishers: u32,
        /// Messages that each of them sends before the first ack
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
        pipelined: u32,
        /// Bytes of a message
        #[arg(long, default_value_t = 128, value_name = "BYTES")]
        payload: usize,
        /// How long
        #[arg(long, default_value_t = 10.0, value_parser = seconds)]
        seconds: f64,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// How messages are sent.
#[derive(Debug, Args)]
struct LoadArgs {
    /// Messages under way at a time: as fast as the server delivers
    #[arg(long, default_value_t = 16, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Messages a second instead, however slow the server is; latency counts from when each was due
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "window", value_parser = positive)]
    rate: Option<f64>,
    /// Bytes of a message (54 at least, which is what the account of it takes)
    #[arg(long, default_value_t = 128, value_name = "BYTES")]
    payload: usize,
    /// How long it is measured
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// How long the same is done before it is measured
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    warmup: f64,
}

/// The subprotocols that can be measured.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Speaks {
    /// json.webpubsub.azure.v1
    Plain,
    /// json.reliable.webpubsub.azure.v1
    Reliable,
}

/// Whom to measure, and as whom.
#[derive(Debug, Args)]
struct CommonArgs {
    /// The hub to measure; without a path the default hub of that server
    #[arg(default_value = "ws://127.0.0.1:8080/ws")]
    url: String,
    /// How many connections
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    members: u32,
    /// What the connections speak; reliable ones acknowledge as the SDKs do: every second, and after 300 messages
    #[arg(long, value_enum, default_value_t = Speaks::Plain)]
    subprotocol: Speaks,
    /// Handshakes under way at a time
    #[arg(long, default_value_t = 64, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    inflight: u32,
    /// The user that all connections log in as
    #[arg(long, value_name = "NAME", conflicts_with_all = ["token", "token_env"])]
    login: Option<String>,
    /// The environment variable with the user's password
    #[arg(long, value_name = "VARIABLE", requires = "login")]
    password_env: Option<String>,
    /// Read the password from the first line of the standard input
    #[arg(long, requires = "login", conflicts_with = "password_env")]
    password_stdin: bool,
    /// A token (seen by everybody who can list this machine's processes; better in a variable)
    #[arg(long, conflicts_with = "token_env")]
    token: Option<String>,
    /// The environment variable with a token
    #[arg(long, value_name = "VARIABLE")]
    token_env: Option<String>,
    /// The server's process, where it is on this machine: adds its CPU time and memory (Linux)
    #[arg(long)]
    pid: Option<u32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("between 0 and 86400 seconds".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("a number above 0 is wanted".to_owned()),
    }
}

impl CommonArgs {
    fn credential(&self) -> anyhow::Result<Credential> {
        if let Some(token) = &self.token {
            return Ok(Credential::Token(Zeroizing::new(token.clone())));
        }
        if let Some(name) = &self.token_env {
            return Ok(Credential::Token(variable(name)?));
        }
        let Some(login) = self.login.clone() else { return Ok(Credential::None) };
        let password = match &self.password_env {
            Some(name) => variable(name)?,
            None if self.password_stdin => {
                let mut line = Zeroizing::new(String::new());
                std::io::stdin().read_line(&mut line).context("the standard input cannot be read")?;
                Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
            }
            None if std::io::stdin().is_terminal() => {
                Zeroizing::new(rpassword::prompt_password(format!("Password of {login}: "))?)
            }
            None => bail!("the password of {login} is needed: --password-env VARIABLE, or --password-stdin"),
        };
        Ok(Credential::Basic { login, password })
    }

    async fn bench(&self, progress: Arc<Progress>) -> anyhow::Result<Bench> {
        let target = Target::parse(&self.url, self.credential()?)?;
        let target = match self.subprotocol {
            Speaks::Plain => target,
            Speaks::Reliable => target.reliable(),
        };
        Ok(Bench::new(target, self.pid, self.inflight as usize, progress).await?)
    }
}

fn variable(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let value = std::env::var(name).with_context(|| format!("the environment variable {name} cannot be used"))?;
    Ok(Zeroizing::new(value))
}

impl ScenarioArgs {
    fn common(&self) -> &CommonArgs {
        match self {
            ScenarioArgs::Fanout { common, .. }
            | ScenarioArgs::Groups { common, .. }
            | ScenarioArgs::Connect { common }
            | ScenarioArgs::Idle { common, .. }
            | ScenarioArgs::Churn { common, .. }
            | ScenarioArgs::Masks { common, .. }
            | ScenarioArgs::Everybody { common, .. }
            | ScenarioArgs::Ending { common, .. }
            | ScenarioArgs::Flood { common, .. } => common,
        }
    }

    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let members = self.common().members as usize;
        let publish = |shape, load: &LoadArgs| Publish {
            shape,
            members,
            payload: load.payload,
            pace: load.rate.map_or(Pace::Window(load.window), Pace::Rate),
            warmup: Duration::from_secs_f64(load.warmup),
            time: Duration::from_secs_f64(load.seconds),
        };
        let time = Duration::from_secs_f64;
        match *self {
            ScenarioArgs::Fanout { ref load, .. } => publish(Shape::Fanout, load).run(bench).await,
            ScenarioArgs::Groups { groups, ref load, .. } => {
                publish(Shape::Groups(groups as usize), load).run(bench).await
            }
            ScenarioArgs::Connect { .. } => Connect { members }.run(bench).await,
            ScenarioArgs::Idle { broadcasts, payload, seconds, .. } => {
                Idle { members, time: time(seconds), broadcasts, payload }.run(bench).await
            }
            ScenarioArgs::Churn { rounds, broadcasts, payload, seconds, .. } => {
                Churn { members, rounds, broadcasts, payload, time: time(seconds) }.run(bench).await
            }
            ScenarioArgs::Masks { groups, seconds, .. } => {
                Masks { members, groups: groups as usize, time: time(seconds) }.run(bench).await
            }
            ScenarioArgs::Everybody { groups, seconds, .. } => {
                Everybody { members, groups: groups as usize, time: time(seconds) }.run(bench).await
            }
            ScenarioArgs::Ending { groups, seconds, .. } => {
                Ending { groups: groups as usize, time: time(seconds) }.run(bench).await
            }
            ScenarioArgs::Flood { publishers, pipelined, payload, seconds, .. } => {
                let publishers = publishers as usize;
                Flood { members, publishers, pipelined, payload, time: time(seconds) }.run(bench).await
            }
        }
    }
}

/// Measures, and prints what was found.
pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the threads to measure with cannot be started")?;
    let report = runtime.block_on(measure(&args.scenario))?;
    // Thousands of clients need not be taken apart one by one.
    runtime.shutdown_background();
    let text = if args.scenario.common().json {
        serde_json::to_string(&report).context("the report cannot be written")? + "\n"
    } else {
        report.to_string()
    };
    std::io::stdout().write_all(text.as_bytes()).context("the report cannot be written")?;
    match report.faults() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(Failure { status: EXIT_FAILURE, message: faults.join("; ") }),
    }
}

async fn measure(scenario: &ScenarioArgs) -> anyhow::Result<Report> {
    let progress = Arc::new(Progress::default());
    let bench = scenario.common().bench(progress.clone()).await?;
    let watching = tokio::spawn(watch(progress.clone()));
    let result = scenario.run(&bench).await;
    watching.abort();
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    Ok(result?)
}

/// Tells once a second what is going on, and ends the run at Ctrl-C; a second one ends the program.
async fn watch(progress: Arc<Progress>) {
    let terminal = std::io::stderr().is_terminal();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => match terminal {
                true => eprint!("\r\x1b[K{progress}"),
                false => eprintln!("{progress}"),
            },
            _ = tokio::signal::ctrl_c() => {
                if progress.is_stopped() {
                    std::process::exit(130);
                }
                progress.stop();
            }
        }
    }
}
