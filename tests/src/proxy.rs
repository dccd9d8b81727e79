//! The way between a service and PostgreSQL, which breaks when it is told to: at a chosen step of the conversation, before or
//! after a message has come through, or in the middle of it. It also stands for an address that one server can take over
//! from another.

mod message;

use std::io::{BufReader, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::Duration;

use self::message::{Message, Talk};

pub use self::message::Step;

/// Where in a step something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// The server gets nothing of the message.
    Before,
    /// The server gets half of it.
    Middle,
    /// The server gets all of it, and the service gets nothing of the answer.
    Sent,
    /// The server has answered, and the service gets nothing of that.
    Answered,
    /// The service gets half of the answer.
    HalfAnswered,
}

impl Moment {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Before, Self::Middle, Self::Sent, Self::Answered, Self::HalfAnswered];
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The connection ends.
    Cut,
    /// Nothing comes through for so long.
    Stall(Duration),
}

/// Something that is to happen once.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// To which step.
    pub step: Step,
    /// To which of these steps, counted from 0.
    pub skip: u64,
    /// Where in it.
    pub moment: Moment,
    /// What.
    pub action: Action,
}

/// A way to a server. Dropped, it is closed.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<SocketAddr>,
    armed: Mutex<Option<Fault>>,
    /// Whether what was armed last has happened.
    struck: Mutex<bool>,
    changed: Condvar,
    lines: Mutex<Vec<Weak<Line>>>,
    closed: AtomicBool,
    ended: AtomicBool,
}

impl Proxy {
    /// Opens a way to a server, at a free port of loopback.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            armed: Mutex::default(),
            struck: Mutex::new(false),
            changed: Condvar::new(),
            lines: Mutex::default(),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(client) = client {
                    let _refused = accepting.connect(client);
                }
            }
        });
        Self { address, shared }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has something happen once, as soon as the step comes.
    pub fn arm(&self, fault: Fault) {
        *self.shared.struck.lock().unwrap() = false;
        *self.shared.armed.lock().unwrap() = Some(fault);
    }

    /// Waits until what was armed has happened. Where it does not within that time, it will not any more.
    pub fn has_struck(&self, within: Duration) -> bool {
        let struck = self.shared.struck.lock().unwrap();
        let (struck, _) = self.shared.changed.wait_timeout_while(struck, within, |struck| !*struck).unwrap();
        self.shared.armed.lock().unwrap().take();
        *struck
    }

    /// Breaks all connections.
    pub fn cut_all(&self) {
        for line in self.shared.lines.lock().unwrap().drain(..) {
            if let Some(line) = line.upgrade() {
                line.cut();
            }
        }
    }

    /// Takes no new connections any more, and breaks those that are there.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.cut_all();
    }

    /// Takes connections again.
    pub fn open(&self) {
        self.shared.closed.store(false, Ordering::Relaxed);
    }

    /// Leads to another server from now on.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
        self.cut_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut_all();
        // Wakes the thread that waits for connections.
        let _ended = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let server = TcpStream::connect(*self.server.lock().unwrap())?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let line = Arc::new(Line { client, server, held: Mutex::default(), is_cut: AtomicBool::new(false) });
        let mut lines = self.lines.lock().unwrap();
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line));
        drop(lines);
        let (shared, towards_server) = (Arc::clone(self), Arc::clone(&line));
        thread::spawn(move || {
            let _ended = towards_server.ask(&shared);
            let _closed = towards_server.server.shutdown(Shutdown::Write);
        });
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let _ended = line.answer(&shared);
            line.cut();
        });
        Ok(())
    }

    /// What is to happen to this step, if anything. Taken, it is for this connection alone.
    fn take(&self, step: Step) -> Option<Fault> {
        let mut armed = self.armed.lock().unwrap();
        let fault = armed.as_mut().filter(|fault| fault.step == Step::Any || fault.step == step)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        armed.take()
    }

    fn strike(&self) {
        *self.struck.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// One connection.
#[derive(Debug)]
struct Line {
    client: TcpStream,
    server: TcpStream,
    /// What is to happen to the next answer.
    held: Mutex<Option<Fault>>,
    is_cut: AtomicBool,
}

impl Line {
    /// From the service to the server.
    fn ask(&self, shared: &Shared) -> Result<()> {
        let mut from = BufReader::new(&self.client);
        let mut first = Message::first(&mut from)?;
        while first.asks_for_encryption() {
            // One byte says no: what is encrypted cannot be read along.
            (&self.client).write_all(b"N")?;
            first = Message::first(&mut from)?;
        }
        (&self.server).write_all(&first.bytes)?;
        let mut talk = Talk::default();
        while !self.is_cut.load(Ordering::Relaxed) {
            let message = Message::read(&mut from)?;
            match shared.take(talk.step(&message)) {
                None => (&self.server).write_all(&message.bytes)?,
                Some(fault) => self.disturb(fault, &message.bytes, shared)?,
            }
        }
        Ok(())
    }

    /// Passes a message on, or not, as the fault wants it.
    fn disturb(&self, fault: Fault, message: &[u8], shared: &Shared) -> Result<()> {
        let passed = match fault.moment {
            Moment::Before => 0,
            Moment::Middle => message.len() / 2,
            Moment::Sent | Moment::Answered | Moment::HalfAnswered => message.len(),
        };
        let (sooner, later) = message.split_at(passed);
        if matches!(fault.moment, Moment::Answered | Moment::HalfAnswered) {
            *self.held.lock().unwrap() = Some(fault);
            return (&self.server).write_all(message);
        }
        if fault.moment == Moment::Sent && fault.action == Action::Cut {
            // Before the server can have answered. It reads what it was sent, and only then that nobody listens.
            self.is_cut.store(true, Ordering::Relaxed);
            (&self.server).write_all(sooner)?;
            self.client.shutdown(Shutdown::Both)?;
            shared.strike();
            return Ok(());
        }
        (&self.server).write_all(sooner)?;
        shared.strike();
        match fault.action {
            Action::Cut => self.cut(),
            Action::Stall(time) => thread::sleep(time),
        }
        (&self.server).write_all(later)
    }

    /// From the server to the service.
    fn answer(&self, shared: &Shared) -> Result<()> {
        let mut from = BufReader::new(&self.server);
        let mut held = Vec::new();
        loop {
            let message = Message::read(&mut from)?;
            if self.is_cut.load(Ordering::Relaxed) {
                // What the server still says is read, so that it carries out what it was sent.
                continue;
            }
            let Some(fault) = *self.held.lock().unwrap() else {
                (&self.client).write_all(&message.bytes)?;
                continue;
            };
            held.extend(message.bytes);
            if message.kind != READY {
                continue;
            }
            let passed = if fault.moment == Moment::HalfAnswered { held.len() / 2 } else { 0 };
            (&self.client).write_all(&held[..passed])?;
            shared.strike();
            match fault.action {
                Action::Cut => return Ok(()),
                Action::Stall(time) => thread::sleep(time),
            }
            (&self.client).write_all(&held[passed..])?;
            held.clear();
            self.held.lock().unwrap().take();
        }
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        // Either may be closed already.
        let _closed = self.client.shutdown(Shutdown::Both);
        let _closed = self.server.shutdown(Shutdown::Both);
    }
}

/// ReadyForQuery: the server has said all that it has to say.
const READY: u8 = b'Z';
