//! The proxies that operators put in front, started with the very files that `packaging/` tells them to use.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::process::eventually;
use crate::tls::NAME;

/// Which one.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Nginx,
    Caddy,
}

impl Kind {
    /// Where it is installed.
    fn program(self) -> Option<PathBuf> {
        let name = match self {
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
        };
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&folders).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
        places.map(|folder| folder.join(name)).find(|place| place.is_file())
    }
}

/// A proxy that runs; ended when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    /// Its certificate.
    pub pem: String,
    child: Child,
    dir: TempDir,
}

impl Proxy {
    /// In front of `server`; `None` where it is not installed. `changes` are made to the shipped file.
    pub fn start(kind: Kind, server: SocketAddr, changes: &[(&str, &str)]) -> Option<Self> {
        let program = kind.program()?;
        let dir = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let pem = certified.cert.pem();
        fs::write(dir.path().join("cert.pem"), &pem).unwrap();
        fs::write(dir.path().join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
        let address = free_address();
        let mut command = Command::new(program);
        match kind {
            Kind::Nginx => command.args(nginx(dir.path(), address, server, changes)),
            Kind::Caddy => command.args(caddy(dir.path(), address, server, changes)).env("HOME", dir.path()),
        };
        let log = fs::File::create(dir.path().join("output.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut proxy = Proxy { address, pem, child: command.spawn().unwrap(), dir };
        eventually("a proxy that listens", || {
            let ended = proxy.child.try_wait().unwrap();
            assert!(ended.is_none(), "{kind:?} ended with {ended:?}: {}", proxy.printed());
            TcpStream::connect(address).is_ok()
        });
        Some(proxy)
    }

    /// What it has said for its operator.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.dir.path().join("output.log")).unwrap()
    }

    /// The access log that the shipped file of nginx asks for.
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx's workers are told by its master, which a SIGKILL would not let it do.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn nginx(dir: &Path, address: SocketAddr, server: SocketAddr, changes: &[(&str, &str)]) -> Vec<String> {
    let folder = dir.display().to_string();
    let mut site = replaced(
        include_str!("../../packaging/nginx.conf"),
        &[
            ("server 127.0.0.1:8080;", &format!("server {server};")),
            ("listen 443 ssl;", &format!("listen {address} ssl;")),
            ("/etc/ssl/chat.example.com/fullchain.pem", &format!("{folder}/cert.pem")),
            ("/etc/ssl/chat.example.com/privkey.pem", &format!("{folder}/key.pem")),
            ("/var/log/nginx/folkmoot.log", &format!("{folder}/access.log")),
        ],
    );
    site = replaced(&site, changes);
    // What Debian's own nginx.conf has around the files of conf.d, as far as an unprivileged start needs it.
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {folder}/{name};\n")).collect();
    let whole = format!(
        "pid {folder}/pid;\nerror_log stderr;\ndaemon off;\nworker_processes 1;\nevents {{}}\nhttp {{\n{temporary}{site}}}\n"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, whole).unwrap();
    vec!["-p".into(), folder, "-c".into(), file.display().to_string()]
}

fn caddy(dir: &Path, address: SocketAddr, server: SocketAddr, changes: &[(&str, &str)]) -> Vec<String> {
    let folder = dir.display().to_string();
    let site = replaced(
        include_str!("../../packaging/Caddyfile"),
        &[
            (
                "\nchat.example.com {",
                &format!(
                    "\nhttps://chat.example.com:{} {{\n\tbind 127.0.0.1\n\ttls {folder}/cert.pem {folder}/key.pem",
                    address.port()
                ),
            ),
            ("reverse_proxy 127.0.0.1:8080", &format!("reverse_proxy {server}")),
        ],
    );
    let whole = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{}", replaced(&site, changes));
    let file = dir.join("Caddyfile");
    fs::write(&file, whole).unwrap();
    ["run", "--adapter", "caddyfile", "--config"]
        .map(str::to_owned)
        .into_iter()
        .chain([file.display().to_string()])
        .collect()
}

/// The text with each of these exchanged, which must be there: a test of another file than the shipped one is none.
fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the shipped file has no {from:?}");
        text.replace(from, to)
    })
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
