//! A network cable between a browser and the server, which can be unplugged: nothing comes through then, nothing is
//! refused either, and what was sent meanwhile arrives when it is plugged in again, as TCP has it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// The cable; connections that go through it end with either side.
pub struct Cable {
    /// Where the server seems to be.
    pub address: SocketAddr,
    plug: Arc<Plug>,
}

#[derive(Default)]
struct Plug {
    is_out: Mutex<bool>,
    moved: Condvar,
}

impl Plug {
    fn put(&self, is_out: bool) {
        *self.is_out.lock().unwrap() = is_out;
        self.moved.notify_all();
    }

    fn wait_until_in(&self) {
        drop(self.moved.wait_while(self.is_out.lock().unwrap(), |is_out| *is_out).unwrap());
    }
}

impl Cable {
    /// From a port of its own to a server.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cable = Cable { address: listener.local_addr().unwrap(), plug: Arc::default() };
        let plug = cable.plug.clone();
        // Threads of a test end with its process.
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(server) else { continue };
                let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                for (from, to) in [(near, far), (far_too, near_too)] {
                    let plug = plug.clone();
                    thread::spawn(move || carry(from, to, &plug));
                }
            }
        });
        cable
    }

    pub fn unplug(&self) {
        self.plug.put(true);
    }

    pub fn plug_in(&self) {
        self.plug.put(false);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, plug: &Plug) {
    let mut part = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut part) {
        plug.wait_until_in();
        if to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    plug.wait_until_in();
    // The other direction may have ended both already.
    let _: std::io::Result<()> = to.shutdown(Shutdown::Both);
    let _: std::io::Result<()> = from.shutdown(Shutdown::Both);
}
