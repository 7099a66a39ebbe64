//! By which of the server's listeners a request came in: what is to be had there depends on it.

use actix_web::HttpRequest;

/// What a listener is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Door {
    /// Whether it is the one for operators (`server.internal`).
    pub internal: bool,
    /// Whether its connections are under TLS.
    pub tls: bool,
}

impl Door {
    /// The listener of operators, which is plain.
    pub const INTERNAL: Door = Door { internal: true, tls: false };

    /// The listener that a request came by. Only our own says that it is the internal one: the type is not public.
    pub fn of(request: &HttpRequest) -> Door {
        let door = request.app_data::<Door>().copied().unwrap_or_default();
        Door { tls: request.app_config().secure(), ..door }
    }
}
