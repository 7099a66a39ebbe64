//! The lines of former sessions, in a file that nobody else can read. Passwords are never typed where lines are, so none
//! is in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

/// Lines that are kept.
pub const LINES: usize = 1000;
/// Longest line that is kept.
const LINE_BYTES: usize = 4096;
/// Most of the file that is read: it is cut to its last lines at each start.
const FILE_BYTES: u64 = 8 << 20;

/// The history of the user. Where it cannot be kept, there is none, and nobody is bothered.
pub struct HistoryFile {
    path: Option<PathBuf>,
}

impl HistoryFile {
    /// In the user's state directory (XDG base directories).
    pub fn of_user() -> Self {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        HistoryFile { path: state.map(|state| state.join("folkmoot/connect_history")) }
    }

    /// The last lines, the oldest first. What is older goes out of the file.
    pub fn load(&self) -> Vec<String> {
        let Some(path) = &self.path else { return Vec::new() };
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut text));
        if read.is_err() {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().collect();
        let kept = all.get(all.len().saturating_sub(LINES)..).unwrap_or_default();
        if kept.len() < all.len() {
            let _: io::Result<()> = self.write(&(kept.join("\n") + "\n"), true);
        }
        kept.iter().map(|line| (*line).to_owned()).collect()
    }

    /// Keeps a line.
    pub fn add(&self, line: &str) {
        // A blank before it says that it is not to be kept, as in shells.
        if line.len() <= LINE_BYTES && !line.contains(['\n', '\r']) && !line.starts_with(' ') {
            let _: io::Result<()> = self.write(&format!("{line}\n"), false);
        }
    }

    fn write(&self, text: &str, anew: bool) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).mode(0o600);
        let mut file = if anew { options.write(true).truncate(true) } else { options.append(true) }.open(path)?;
        // Somebody may have made it before.
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
        }
        file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_where_nobody_else_can_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/folkmoot/connect_history");
        let history = HistoryFile { path: Some(path.clone()) };
        assert_eq!(history.load(), [""; 0]);
        for number in 0..LINES + 5 {
            history.add(&format!("line {number}"));
        }
        for unwanted in [" secret", &"x".repeat(5000), "a\nb"] {
            history.add(unwanted);
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let lines = history.load();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES, "line 5"));
        assert_eq!(history.load(), lines);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), LINES);
    }

    #[test]
    fn without_a_home_there_is_no_history() {
        let history = HistoryFile { path: None };
        history.add("line");
        assert_eq!(history.load(), [""; 0]);
    }
}
