//! What is shown, on a thread of its own: a terminal that is stopped (Ctrl-S) or a pipe that nobody reads must not stop the
//! answers to pings and signals.

use std::io::{self, Write};
use std::sync::mpsc::Sender;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::output::{Look, Shown};

/// Things that wait to be shown. Beyond it nothing more is read from the server.
const WAITING: usize = 1024;
/// Room that is kept for what one frame or line leads to.
const ROOM: usize = 256;

/// Where text goes in the end. It may block.
pub trait Paper: Send {
    /// What was asked for.
    fn content(&mut self, text: String) -> io::Result<()>;
    /// What happened on the way.
    fn remark(&mut self, text: String) -> io::Result<()>;
    /// The line editor is about to take over.
    fn make_way(&mut self) {}
}

/// Standard output and standard error.
pub struct Pipe;

impl Paper for Pipe {
    fn content(&mut self, text: String) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        // Whoever reads it may be waiting for this line.
        out.flush()
    }

    fn remark(&mut self, text: String) -> io::Result<()> {
        // Who has closed the standard error does not want to know.
        let _: io::Result<()> = writeln!(io::stderr(), "{text}");
        Ok(())
    }
}

enum Job {
    Content(String),
    Remark(String),
    MakeWay(Sender<()>),
}

/// The way to the paper.
pub struct Screen {
    jobs: mpsc::Sender<Job>,
    ended: oneshot::Receiver<io::Result<()>>,
    look: Look,
}

impl Screen {
    /// Starts the thread.
    pub fn new(mut paper: Box<dyn Paper>, look: Look) -> Self {
        let (jobs, mut waiting) = mpsc::channel(WAITING);
        let (end, ended) = oneshot::channel();
        thread::spawn(move || {
            let mut result = Ok(());
            while let Some(job) = waiting.blocking_recv() {
                result = match job {
                    Job::Content(text) => paper.content(text),
                    Job::Remark(text) => paper.remark(text),
                    Job::MakeWay(done) => {
                        paper.make_way();
                        // The editor may have ended.
                        let _: Result<(), _> = done.send(());
                        Ok(())
                    }
                };
                if result.is_err() {
                    break;
                }
            }
            let _: Result<(), _> = end.send(result);
        });
        Screen { jobs, ended, look }
    }

    /// Shows something after everything before it.
    pub fn show(&self, shown: &Shown) {
        let text = shown.render(self.look);
        self.add(if shown.is_content() { Job::Content(text) } else { Job::Remark(text) });
    }

    /// Lets the line editor go on when everything before is shown.
    pub fn make_way(&self, editor: Sender<()>) {
        self.add(Job::MakeWay(editor));
    }

    fn add(&self, job: Job) {
        // There is room, since whoever reads from the server has waited for it; and where the thread has ended,
        // `closed` tells.
        let _: Result<(), _> = self.jobs.try_send(job);
    }

    /// Waits until there is room for what the next frame leads to.
    pub async fn room(&self) {
        // Where the thread has ended, `closed` tells.
        let _: Result<_, _> = self.jobs.reserve_many(ROOM).await;
    }

    /// Waits until nothing can be shown any more.
    pub async fn closed(&self) {
        self.jobs.closed().await;
    }

    /// Waits until everything is shown, and tells whether that was possible.
    pub async fn finish(self) -> io::Result<()> {
        drop(self.jobs);
        self.ended.await.unwrap_or(Ok(()))
    }
}
