//! Why the decoder refuses a peer, and the close code that the peer is told.

/// What a peer did that RFC 6455 or our limits do not allow. It always ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The mask bit is off (section 5.1).
    #[error("a frame from a client must be masked")]
    Unmasked,
    /// A reserved bit is on; we negotiate no extension (section 5.2).
    #[error("a reserved bit is set although no extension was negotiated")]
    ReservedBits,
    /// One of the ten reserved opcodes (section 5.2).
    #[error("opcode {0:#x} is reserved")]
    UnknownOpcode(u8),
    /// A length that fits fewer bytes than it was given (section 5.2).
    #[error("the payload length is not written in the fewest bytes")]
    NonMinimalLength,
    /// A control frame without the FIN bit (section 5.5).
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// A control frame of more than 125 bytes (section 5.5).
    #[error("a control frame has at most 125 bytes of payload")]
    LongControl,
    /// A continuation frame while no message is open (section 5.4).
    #[error("a continuation frame came without a message to continue")]
    UnexpectedContinuation,
    /// A text or binary frame while a fragmented message is open (section 5.4).
    #[error("a new message began before the fragmented one had ended")]
    InterruptedMessage,
    /// A close frame whose payload is too short for a code (section 5.5.1).
    #[error("a close frame has no payload or begins with a code of two bytes")]
    TruncatedCloseCode,
    /// A code that must not appear in a close frame (section 7.4).
    #[error("{0} is not a close code that may be sent")]
    CloseCode(u16),
    /// A text message or close reason that is not UTF-8 (section 8.1).
    #[error("the text is not valid UTF-8")]
    InvalidUtf8,
    /// A frame or message beyond the limits.
    #[error("the message is larger than this server accepts")]
    TooBig,
    /// More frames in one message than the limits allow.
    #[error("the message has more fragments than this server accepts")]
    TooManyFragments,
}

impl Violation {
    /// The code for our close frame (section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Violation::InvalidUtf8 => 1007,
            Violation::TooBig | Violation::TooManyFragments => 1009,
            _ => 1002,
        }
    }
}
