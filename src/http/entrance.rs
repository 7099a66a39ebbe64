//! By which of the server's listeners a request came in: what is to be had there depends on it.

use actix_web::HttpRequest;

/// Which listener a request came in by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Entrance {
    /// The one that clients use.
    #[default]
    Main,
    /// The one for operators (`server.internal`): what it serves asks for less, or is there alone.
    Internal,
}

impl Entrance {
    /// How a request came in. An `App` of somebody else cannot say "internal": its type is not public.
    pub fn of(request: &HttpRequest) -> Entrance {
        request.app_data().copied().unwrap_or_default()
    }
}
