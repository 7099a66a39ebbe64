//! The loop that holds it together: connects, listens to the server, the user and the signals, and decides when it is
//! over.

use std::io;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::EXIT_INTERRUPTED;
use super::client::{Dialer, Heard, Link, OpenError, OpenErrorKind};
use super::conversation::Conversation;
use super::output::Shown;
use super::pipe::Input;
use super::screen::Screen;
use super::signals::Signals;
use crate::cli::{EXIT_DENIED, EXIT_FAILURE, EXIT_UNAVAILABLE, Failure};

/// Texts of a pipe that may be without their ack. As many as a server holds unanswered of one connection.
const WINDOW: usize = 16;
/// How long the line editor waits for the answer to a command.
const ANSWER: Duration = Duration::from_secs(2);
/// The first and the longest wait between two attempts to connect.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// When to end, and what to do when the connection is lost.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A person sits there: what is refused is told and forgiven.
    pub terminal: bool,
    /// Go on after the end of the input.
    pub listen: bool,
    /// End after this many messages.
    pub count: Option<u64>,
    /// End at this time.
    pub deadline: Option<Instant>,
    /// Connect again.
    pub reconnect: bool,
}

enum Phase {
    Opening(LocalBoxFuture<'static, Result<Link, OpenError>>),
    Open(Box<Link>),
    Waiting(std::pin::Pin<Box<Sleep>>),
}

enum Step {
    Opened(Result<Link, OpenError>),
    Heard(Heard),
    Again,
}

impl Phase {
    /// What happens next; may be given up and called again, but not after an opening has had its answer.
    async fn next(&mut self, screen: &Screen) -> Step {
        match self {
            Phase::Opening(opening) => Step::Opened(opening.await),
            Phase::Open(link) => {
                screen.room().await;
                Step::Heard(link.next().await)
            }
            Phase::Waiting(wait) => {
                wait.await;
                Step::Again
            }
        }
    }
}

/// The line editor, which waits for its line to be carried out.
struct Held {
    editor: std::sync::mpsc::Sender<()>,
    until: Option<Instant>,
}

/// One run of the command.
pub struct Session {
    dialer: Dialer,
    conversation: Conversation,
    screen: Screen,
    inputs: mpsc::Receiver<Input>,
    signals: Signals,
    rules: Rules,
    phase: Phase,
    held: Option<Held>,
    /// The input has ended.
    ended: bool,
    attempts: u32,
}

impl Session {
    /// Begins to connect. `begin` lets the line editor begin, where there is one.
    pub fn new(
        dialer: Dialer,
        conversation: Conversation,
        screen: Screen,
        inputs: mpsc::Receiver<Input>,
        begin: Option<std::sync::mpsc::Sender<()>>,
        rules: Rules,
    ) -> io::Result<Self> {
        let phase = Phase::Opening(dialer.open());
        let held = begin.map(|editor| Held { editor, until: None });
        let signals = Signals::new()?;
        Ok(Session { dialer, conversation, screen, inputs, signals, rules, phase, held, ended: false, attempts: 0 })
    }

    /// Runs to the end, says goodbye, shows what is left to show.
    pub async fn run(mut self) -> Result<(), Failure> {
        let result = self.talk().await;
        let goodbye = async {
            if let Phase::Open(link) = self.phase {
                link.close().await;
            }
            self.screen.finish().await
        };
        // Who has had enough, or whose pipe nobody reads, need not wait for it.
        let shown = tokio::select! {
            shown = goodbye => shown,
            status = self.signals.next() => return Err(Failure { status, message: String::new() }),
        };
        match shown {
            // `folkmoot connect … | head` is nobody's mistake.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(failure(format!("what came cannot be written: {error}")))
            }
            _ => result,
        }
    }

    async fn talk(&mut self) -> Result<(), Failure> {
        loop {
            self.pass_on();
            if self.is_done() {
                return self.verdict();
            }
            self.release_editor();
            let takes_input = self.takes_input();
            let release = self.held.as_ref().and_then(|held| held.until);
            tokio::select! {
                step = self.phase.next(&self.screen) => self.on_step(step)?,
                input = self.inputs.recv(), if takes_input => self.on_input(input)?,
                status = self.signals.next() => return Err(Failure { status, message: String::new() }),
                () = self.screen.closed() => return Ok(()),
                () = at(release) => {}
                () = at(self.rules.deadline) => return self.on_deadline(),
            }
        }
    }

    /// Sends and shows what the conversation has come to.
    fn pass_on(&mut self) {
        let (frames, shown) = self.conversation.take();
        shown.iter().for_each(|shown| self.screen.show(shown));
        let mut stuck = false;
        if let Phase::Open(link) = &self.phase {
            stuck = !frames.into_iter().all(|frame| link.send(frame));
        }
        if stuck {
            self.lose("the server takes nothing any more", Duration::ZERO);
        }
    }

    /// Lets the editor go on when its line has been carried out, or takes too long.
    fn release_editor(&mut self) {
        let waits = self.conversation.is_online() && self.conversation.has_open_command();
        let begun = self.conversation.was_greeted();
        let over = |held: &Held| held.until.is_some_and(|until| until <= Instant::now());
        if let Some(held) = self.held.take_if(|held| begun && (!waits || over(held))) {
            self.screen.make_way(held.editor);
        }
    }

    fn takes_input(&self) -> bool {
        if self.ended || self.has_heard_enough() {
            return false;
        }
        match self.rules.terminal {
            true => self.held.is_none(),
            false => self.conversation.is_online() && self.conversation.unanswered() < WINDOW,
        }
    }

    fn has_heard_enough(&self) -> bool {
        self.rules.count.is_some_and(|count| self.conversation.messages() >= count)
    }

    fn is_done(&self) -> bool {
        if self.conversation.wants_to_quit() {
            return true;
        }
        let enough = match self.rules {
            Rules { count: Some(_), .. } => self.has_heard_enough(),
            Rules { listen: true, .. } => false,
            _ => self.ended,
        };
        enough && self.conversation.was_greeted() && self.conversation.unanswered() == 0
    }

    /// The status, when nothing went wrong with the connection.
    fn verdict(&self) -> Result<(), Failure> {
        match self.conversation.has_refused() && !self.rules.terminal {
            // Each refusal has been told.
            true => Err(failure(String::new())),
            false => Ok(()),
        }
    }

    fn on_deadline(&self) -> Result<(), Failure> {
        let conversation = &self.conversation;
        if !conversation.was_greeted() {
            return Err(unavailable(format!("{} does not answer in time", self.dialer.target())));
        }
        if let Some(count) = self.rules.count {
            return Err(failure(format!("{} of {count} messages came in time", conversation.messages())));
        }
        if conversation.unanswered() > 0 {
            return Err(failure(format!("{} requests were not answered in time", conversation.unanswered())));
        }
        self.verdict()
    }

    fn on_input(&mut self, input: Option<Input>) -> Result<(), Failure> {
        match input {
            Some(Input::Line(line, editor)) => {
                self.conversation.on_line(line);
                let until = Some(Instant::now() + ANSWER);
                self.held = editor.map(|editor| Held { editor, until });
            }
            Some(Input::Unfit(why)) => self.conversation.refuse(why.to_owned()),
            Some(Input::Interrupt) => return Err(Failure { status: EXIT_INTERRUPTED, message: String::new() }),
            Some(Input::Broken(why)) => return Err(failure(why)),
            Some(Input::End) | None => self.ended = true,
        }
        Ok(())
    }

    fn on_step(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Opened(Ok(link)) => {
                self.phase = Phase::Open(Box::new(link));
            }
            Step::Opened(Err(error)) => return self.on_refused(error),
            Step::Heard(Heard::Text(text)) => {
                self.conversation.on_frame(&text);
                if self.conversation.is_online() {
                    self.attempts = 0;
                }
                // The first prompt waits for the names of those who are there, but not for ever.
                if let Some(Held { until: until @ None, .. }) = &mut self.held
                    && self.conversation.was_greeted()
                {
                    *until = Some(Instant::now() + ANSWER);
                }
            }
            Step::Heard(Heard::End { why, come_back, after }) => {
                if !come_back || !self.rules.reconnect {
                    self.conversation.on_lost();
                    self.pass_on();
                    self.phase = Phase::Waiting(Box::pin(sleep(Duration::ZERO)));
                    return Err(failure(why));
                }
                self.lose(&why, after);
            }
            Step::Again => self.phase = Phase::Opening(self.dialer.open()),
        }
        Ok(())
    }

    /// No connection came about.
    fn on_refused(&mut self, error: OpenError) -> Result<(), Failure> {
        // The end comes without a goodbye.
        let wait = self.wait(Duration::ZERO);
        self.phase = Phase::Waiting(Box::pin(sleep(wait)));
        match error.kind {
            OpenErrorKind::Denied => Err(Failure { status: EXIT_DENIED, message: error.sentence }),
            // An address that was never right does not become so by waiting.
            OpenErrorKind::Passing if self.conversation.was_greeted() && self.rules.reconnect => {
                self.tell(format!("{error}. Trying again in {:.1} s.", wait.as_secs_f32()));
                Ok(())
            }
            OpenErrorKind::Passing | OpenErrorKind::Lasting => Err(unavailable(error.sentence)),
        }
    }

    /// The connection is gone, and another is made soon.
    fn lose(&mut self, why: &str, after: Duration) {
        let wait = self.wait(after);
        self.phase = Phase::Waiting(Box::pin(sleep(wait)));
        self.tell(format!("The connection is lost: {why}. Connecting again in {:.1} s.", wait.as_secs_f32()));
        self.conversation.on_lost();
    }

    fn tell(&self, text: String) {
        self.screen.show(&Shown::Problem(text));
    }

    /// Twice as long each time, and not the same for all who lost their connections together.
    fn wait(&mut self, least: Duration) -> Duration {
        let (first, longest) = WAITS;
        let whole = first.saturating_mul(1 << self.attempts.min(10)).min(longest);
        self.attempts = self.attempts.saturating_add(1);
        let mut random = [0];
        // Without randomness all wait for the same time.
        let _: Result<(), _> = aws_lc_rs::rand::fill(&mut random);
        let [random] = random;
        least + whole / 2 + whole / 2 * u32::from(random) / 256
    }
}

fn failure(message: String) -> Failure {
    Failure { status: EXIT_FAILURE, message }
}

fn unavailable(message: String) -> Failure {
    Failure { status: EXIT_UNAVAILABLE, message }
}

/// That time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
