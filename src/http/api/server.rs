//! `/api/server/…`: the server itself, for the dashboard.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Call;
use crate::monitor::{self, Sample};
use crate::user::UserData;
use crate::{clock, config};

/// The answer of `GET /api/server/overview`.
#[derive(Serialize, ToSchema)]
pub(super) struct Overview {
    /// In milliseconds since 1970, by the clock that the samples have.
    now: u64,
    /// Between two samples.
    interval_ms: u64,
    /// The oldest first.
    #[schema(value_type = Vec<Object>)]
    samples: Vec<Sample>,
}

/// The answer of `GET /api/server/config`.
#[derive(Serialize, ToSchema)]
pub(super) struct Configuration {
    /// The keys with their values and origins.
    #[schema(value_type = Vec<Object>)]
    value: Vec<config::Listed>,
}

/// The samples of the last quarter of an hour, the oldest first.
pub(super) fn overview<U: UserData>(call: &Call<U>) -> HttpResponse {
    HttpResponse::Ok().json(Overview {
        now: clock::now(),
        interval_ms: monitor::INTERVAL.as_millis() as u64,
        samples: call.services.monitor.samples(),
    })
}

/// Every key of the configuration in effect, with its value and origin; secrets are hidden.
pub(super) fn config<U: UserData>(call: &Call<U>) -> HttpResponse {
    let value = config::list(&call.services.config(), &call.services.config_origins.load());
    HttpResponse::Ok().json(Configuration { value })
}
