//! The actor that stands for one WebSocket connection and holds its user's data.
//!
//! It reads, the fan-out of its worker writes. However it ends, `stopped` runs once: the registry is told, which takes
//! the connection out of all its groups, and the peer learns the reason.

mod farewell;
mod frames;
mod inbound;
mod meter;
mod raw;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, StreamHandler};
use serde_json::value::to_raw_value;

use self::farewell::Farewell;
use self::frames::Frames;
pub use self::meter::InboundRates;
pub use self::raw::RawMode;
use crate::auth::permissions::Permissions;
use crate::error::{Disconnect, DisconnectKind};
use crate::event::Connection;
use crate::groups::inner::{FromSession, Recover};
use crate::groups::messages::Connect;
use crate::groups::{Greeting, Lease, LocalFanout, Lost, Outbox, Slots};
use crate::hooks::HookCalls;
use crate::ids::GroupName;
use crate::metrics::Metrics;
use crate::outbound::{Frame, Link, Moment, Scratch, close};
use crate::protocol::Subprotocol;
use crate::protocol::json::{self, ParseOptions};
use crate::transport::decoder::{Decoder, DecoderLimits, Inbound};
use crate::transport::encoder;
use crate::user::UserData;
use crate::webhooks::Webhooks;

/// What the sessions of one hub have in common.
pub struct SessionSettings<U: UserData> {
    /// How frames are read.
    pub parse: ParseOptions,
    /// What a peer may make us hold.
    pub decoder: DecoderLimits,
    /// How fast a peer may send.
    pub rates: InboundRates,
    /// The caller's hooks, if there are any.
    pub hooks: Option<HookCalls<U>>,
    /// How long the peer of a reliable connection may take to come back; nobody waits where it is zero.
    pub recovery_window: Duration,
    /// The application's webhooks.
    pub webhooks: Option<Webhooks>,
    /// Where what happens is counted.
    pub metrics: Metrics,
}

/// A connection that was let in.
pub struct Admitted<U: UserData> {
    /// The connection and its user's data.
    pub connection: Arc<Connection<U>>,
    /// Whether the registry knows it.
    pub arrival: Arrival,
    /// Keeps its hub open.
    pub lease: Lease<U>,
    /// The way to its hub's registry.
    pub outbox: Rc<Outbox<U>>,
    /// How it speaks.
    pub subprotocol: Subprotocol,
    /// What its frames mean, when it is a raw client.
    pub raw: RawMode,
    /// What all sessions of the hub share.
    pub settings: Rc<SessionSettings<U>>,
    /// When it has to end, where its token's expiry counts.
    pub expires_at: Option<Moment>,
}

/// How a connection comes to its session.
pub enum Arrival {
    /// It begins.
    New {
        /// What it may do.
        permissions: Arc<Permissions>,
        /// The groups it is put into.
        groups: Vec<GroupName>,
        /// What lets its peer come back, where it may.
        reconnection_token: Option<String>,
        /// Its place among the connections that the server allows, given back when the socket is closed.
        seat: Box<dyn Send>,
    },
    /// It goes on by another socket, of this number. Its place among the connections comes from the one before.
    Back {
        /// What the registry gave to whoever claimed it.
        incarnation: u32,
    },
}

/// One WebSocket connection.
pub struct Session<U: UserData> {
    connection: Arc<Connection<U>>,
    /// Taken when it is said, or left where a reliable connection waits for its peer.
    farewell: Option<Farewell<U>>,
    /// Which of the connection's sockets this is.
    incarnation: u32,
    slot: u32,
    slots: Rc<RefCell<Slots>>,
    outbox: Rc<Outbox<U>>,
    subprotocol: Subprotocol,
    raw: RawMode,
    settings: Rc<SessionSettings<U>>,
    link: Rc<Link>,
    /// The close frame of the peer, to be echoed.
    peer_closed: Option<Option<u16>>,
    /// Not of a reliable connection, whose slot has it.
    seat: Option<Box<dyn Send>>,
}

impl<U: UserData> Session<U> {
    /// Starts the session of a connection on the current worker; `early` is what came together with the handshake.
    pub fn launch(admitted: Admitted<U>, link: Rc<Link>, fanout: &LocalFanout, early: Vec<u8>) {
        let Admitted { connection, arrival, lease, outbox, subprotocol, raw, settings, expires_at } = admitted;
        let (slots, fanout) = (fanout.slots().clone(), fanout.addr().clone());
        let (id, mut seat_of_socket) = (connection.id, None);
        // The registry knows the connection before its first frame is read.
        let (place, incarnation) = match arrival {
            Arrival::New { permissions, groups, reconnection_token, seat } => {
                let user = connection.user.as_ref().and_then(|user| to_raw_value(user).ok());
                let recoverable = reconnection_token.is_some();
                let greeting = Greeting { user_id: connection.user_id.clone(), user, reconnection_token };
                let place = slots.borrow_mut().attach(id, link.clone(), subprotocol, greeting);
                match subprotocol {
                    Subprotocol::ReliableJson => slots.borrow_mut().sit(place.slot, seat),
                    Subprotocol::Json | Subprotocol::Raw => seat_of_socket = Some(seat),
                }
                let connection = connection.clone();
                let connect = Connect { connection, permissions, groups, place, fanout, recoverable, expires_at };
                outbox.say(FromSession::Connect(connect));
                settings.metrics.connections.increment(1);
                settings.metrics.connections_opened.increment(1);
                (place, 0)
            }
            Arrival::Back { incarnation } => {
                let place = slots.borrow_mut().attach_again(id, link.clone());
                outbox.say(FromSession::Recover(Recover { connection: id, incarnation, place, fanout }));
                (place, incarnation)
            }
        };

        let decoder = Decoder::new(settings.decoder);
        let frames = Frames::new(link.clone(), decoder, settings.rates, early, settings.metrics.clone());
        let farewell = Some(Farewell::new(id, incarnation, outbox.clone(), lease));
        Session::create(|ctx| {
            ctx.add_stream(frames);
            if let Some(expires_at) = expires_at {
                ctx.run_later(expires_at.since(Moment::now()), |session: &mut Self, _| {
                    session.link.end(DisconnectKind::TokenExpired.into());
                });
            }
            let (slot, peer_closed, seat) = (place.slot, None, seat_of_socket);
            Session {
                connection,
                farewell,
                incarnation,
                slot,
                slots,
                outbox,
                subprotocol,
                raw,
                settings,
                link,
                peer_closed,
                seat,
            }
        });
    }

    /// Writes a frame that does not come from the registry.
    fn reply(&self, frame: bytes::Bytes) {
        let mut scratch = Scratch::default();
        self.link.push(Frame::from(frame), &mut scratch);
        self.link.flush(&mut scratch);
    }

    /// What the peer is told at the end, behind everything that is queued.
    fn last_frames(&self, reason: &Disconnect) -> Vec<Frame> {
        match (reason.kind(), self.peer_closed) {
            // Every close frame is answered, also one whose sender could come back (RFC 6455, 5.5.1).
            (_, Some(None)) => vec![encoder::close_without_code().into()],
            (_, Some(Some(code))) => vec![encoder::close(code, "").into()],
            // Nobody is there to be told.
            (DisconnectKind::Lost, None) => Vec::new(),
            // An SDK that is told 1008 does not come back, and this one may.
            (kind, None) if kind.is_loss() && self.may_come_back() => Vec::new(),
            _ => {
                let mut frames = Vec::with_capacity(2);
                if self.subprotocol.is_json() {
                    frames.push(encoder::text(|out| json::disconnected(out, reason.message())).into());
                }
                frames.push(encoder::close(reason.close_code(), reason.reason()).into());
                frames
            }
        }
    }
}

impl<U: UserData> Actor for Session<U> {
    type Context = Context<Self>;

    // A panic here while another unwinds would end the process, so nothing in it may panic.
    fn stopped(&mut self, _: &mut Self::Context) {
        let reason = self.link.take_end().unwrap_or(Disconnect::new(DisconnectKind::SessionLost));
        // Its name and not its sentence, which may repeat a piece of what the peer sent.
        log::debug!("connection.id":% = self.connection.id, hub:% = self.connection.hub, reason = reason.name(); "a connection ended");
        let last = self.last_frames(&reason);
        // The next socket is there already, so this one is not waited for.
        let is_displaced = reason.kind() == DisconnectKind::Displaced;
        self.say_farewell(reason);
        if self.subprotocol == Subprotocol::ReliableJson {
            self.seat = self.slots.try_borrow_mut().ok().and_then(|mut slots| slots.leave_seat(self.slot, &self.link));
        }
        if is_displaced && !self.link.displace() {
            return;
        }
        let peer_closed = self.peer_closed.is_some() || is_displaced;
        let (link, seat) = (self.link.clone(), self.seat.take());
        actix_rt::spawn(async move {
            close(link, last, peer_closed).await;
            drop(seat);
        });
    }
}

impl<U: UserData> StreamHandler<Result<Inbound, Disconnect>> for Session<U> {
    fn handle(&mut self, inbound: Result<Inbound, Disconnect>, ctx: &mut Self::Context) {
        match inbound {
            Ok(Inbound::Text(text)) => {
                self.settings.metrics.messages_in.increment(1);
                match self.subprotocol {
                    Subprotocol::Json | Subprotocol::ReliableJson => self.on_json(&text, ctx),
                    Subprotocol::Raw => self.on_raw(text, false, ctx),
                }
            }
            Ok(Inbound::Binary(bytes)) => {
                self.settings.metrics.messages_in.increment(1);
                match self.subprotocol {
                    Subprotocol::Json | Subprotocol::ReliableJson => {
                        self.fail(DisconnectKind::UnsupportedData.into());
                    }
                    Subprotocol::Raw => self.on_raw(bytes, true, ctx),
                }
            }
            Ok(Inbound::Ping(payload)) => self.reply(encoder::pong(&payload)),
            Ok(Inbound::Pong) => {}
            Ok(Inbound::Close(close)) => {
                self.peer_closed = Some(close.as_ref().map(|(code, _)| *code));
                let kind = match close {
                    None | Some((1000, _)) => DisconnectKind::ClosedByClient,
                    // The peer says that it goes for another reason; a reliable connection could come back.
                    Some(_) => DisconnectKind::Lost,
                };
                self.link.end(kind.into());
            }
            Err(disconnect) if matches!(disconnect.kind(), DisconnectKind::Lost | DisconnectKind::RateLimit) => {
                self.link.end(disconnect);
            }
            Err(disconnect) => self.fail(disconnect),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl<U: UserData> Session<U> {
    /// Whether the connection outlives its socket.
    fn may_come_back(&self) -> bool {
        self.subprotocol == Subprotocol::ReliableJson && !self.settings.recovery_window.is_zero()
    }

    /// Tells the registry that the connection is over; or leaves that to the fan-out, where the peer may come back.
    fn say_farewell(&mut self, reason: Disconnect) {
        let Some(mut farewell) = self.farewell.take() else { return };
        let may_come_back = self.may_come_back() && reason.kind().is_loss();
        match self.slots.try_borrow_mut() {
            Ok(mut slots) if may_come_back => {
                let window = self.settings.recovery_window;
                let last_word = Box::new(move |reason| farewell.send(reason));
                let lost = Lost { last_word, reason, window };
                if let Err(Lost { last_word, reason, .. }) = slots.park(self.slot, &self.link, lost) {
                    last_word(reason);
                }
            }
            _ => farewell.send(reason),
        }
    }

    /// Ends the connection because of what the peer sent.
    fn fail(&self, disconnect: Disconnect) {
        self.settings.metrics.protocol_errors.increment(1);
        self.link.end(disconnect);
    }

    /// Lets the session read on.
    fn open_gate(&self) {
        self.link.gate.open(Moment::now());
    }
}
