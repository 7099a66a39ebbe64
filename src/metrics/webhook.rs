//! What becomes of requests to webhooks, as a closed set of label values.

/// The `outcome` of `folkmoot_webhook_requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// The webhook has said yes: 2xx.
    Accepted,
    /// It has said something else.
    Refused,
    /// There was no answer.
    Failed,
}

impl WebhookOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [WebhookOutcome; 3] = [Self::Accepted, Self::Refused, Self::Failed];

    /// The value of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
