//! `/openapi.json`: what the API is, for programs and for the page at `/docs`. Made of the table of operations by which
//! requests are routed and of the types that are answered, so it tells neither more nor less than there is.

use std::sync::OnceLock;

use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Components, ComponentsBuilder, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, Header, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::answers;
use super::idempotency::REPLAYED;
use super::operations::{Answer, Body, OPERATIONS, Operation, Tag};
use super::parameters::Kind;
use super::query::API_VERSIONS;
use super::send::{DELIVERED_CONNECTIONS, DELIVERED_GROUPS};

const DESCRIPTION: &str = "What back ends and operators ask a Folkmoot server and tell it. The operations without \
     \u{201c}ours\u{201d} are those of the Web PubSub data-plane REST API. Names in paths are percent-encoded once; \
     where a hub has masks, {group} may be one.";
/// The name of the way in.
const BEARER: &str = "bearer";

/// `GET /openapi.json`.
pub(in crate::http) fn answer(_: &HttpRequest) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type("application/json")
        .body(text())
}

/// The document, made when it is asked for the first time.
fn text() -> Bytes {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    // Objects with texts as keys always have a text.
    TEXT.get_or_init(|| Bytes::from(document().to_json().unwrap_or_default())).clone()
}

fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Folkmoot HTTP API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(utoipa::openapi::License::new(env!("CARGO_PKG_LICENSE"))));
    let mut paths = Paths::new();
    for operation in OPERATIONS {
        let described = describe(operation);
        let item = paths.paths.entry(format!("/api{}", operation.path)).or_default();
        match operation.method {
            "GET" => item.get = Some(described),
            "HEAD" => item.head = Some(described),
            "POST" => item.post = Some(described),
            "PUT" => item.put = Some(described),
            _ => item.delete = Some(described),
        }
    }
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components()))
        .tags(Some(Tag::ALL.map(|tag| TagBuilder::new().name(tag.name()).build())))
        .security(Some([SecurityRequirement::new(BEARER, [""; 0])]))
        .build()
}

fn describe(operation: &Operation) -> utoipa::openapi::path::Operation {
    let summary =
        if operation.is_common { operation.summary.to_owned() } else { format!("{} (ours)", operation.summary) };
    let mut described = OperationBuilder::new()
        .operation_id(Some(operation.id))
        .tag(operation.tag.name())
        .summary(Some(summary))
        .request_body(body(operation.body));
    for segment in operation.path.split('/') {
        if let Some(name) = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            described = described.parameter(in_path(name));
        }
    }
    let version = string().enum_values(Some(API_VERSIONS));
    described = described.parameter(
        in_query("api-version", "The version of the Web PubSub REST API; the latest where none is named.")
            .schema(Some(version)),
    );
    for parameter in operation.query {
        let schema = match parameter.kind {
            Kind::Text => RefOr::from(string().build()),
            Kind::Texts => RefOr::T(Schema::Array(ArrayBuilder::new().items(string()).build())),
            Kind::Flag => RefOr::from(ObjectBuilder::new().schema_type(Type::Boolean).build()),
            Kind::Number { from, to } => {
                let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(from as f64));
                RefOr::from(number.maximum(to.map(|to| to as f64)).build())
            }
        };
        described = described.parameter(in_query(parameter.name, parameter.description).schema(Some(schema)));
    }
    if operation.changes_something() {
        described = described.parameter(idempotency_key());
    }
    if operation.path == "/health" {
        // Nobody needs a token for it.
        described = described.securities(Some([SecurityRequirement::default()]));
    }
    for (status, response) in responses(operation) {
        described = described.response(status, response);
    }
    described.build()
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn in_query(name: &str, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
}

fn in_path(name: &str) -> Parameter {
    let description = match name {
        "hub" => "The hub; its name has no case.",
        "group" => "A group, or a mask where the hub has masks.",
        "user" => "A user id.",
        "connection" => "A connection id.",
        _ => "What is permitted.",
    };
    let schema = match name {
        "permission" => string().enum_values(Some(["joinLeaveGroup", "sendToGroup"])),
        _ => string(),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Ours: the same request with the same key is done once, and answered as the first time."))
        .schema(Some(string().max_length(Some(255))))
        .build()
}

fn body(body: Body) -> Option<RequestBody> {
    let any = || RefOr::T(utoipa::openapi::schema::empty());
    let described = RequestBodyBuilder::new().required(Some(Required::True));
    Some(match body {
        Body::None => return None,
        Body::Message => described
            .description(Some("The message, forwarded as it is. Headers X-WebPubSub-Metadata-… travel beside it."))
            .content("text/plain", ContentBuilder::new().schema(Some(string())).build())
            .content("application/json", ContentBuilder::new().schema(Some(any())).build())
            .content("application/octet-stream", ContentBuilder::new().schema(Some(any())).build())
            .build(),
        Body::Enrolment => described.content("application/json", json("Enrolment")).build(),
    })
}

fn json(schema: &str) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build()
}

fn responses(operation: &Operation) -> Vec<(&'static str, Response)> {
    let plain = |description: &str| ResponseBuilder::new().description(description);
    let number = |description: &str| {
        let mut header = Header::new(ObjectBuilder::new().schema_type(Type::Integer));
        header.description = Some(description.to_owned());
        header
    };
    let (status, mut good) = match operation.answer {
        Answer::Done => ("200", plain("Yes, or done.")),
        Answer::NoContent => ("204", plain("Done, or so already.")),
        Answer::Accepted => {
            let accepted = plain("Sent, to whoever is there.")
                .header(DELIVERED_GROUPS.as_str(), number("Ours: to how many groups."))
                .header(DELIVERED_CONNECTIONS.as_str(), number("Ours: to how many connections."));
            ("202", accepted)
        }
        Answer::Json(schema) => ("200", plain("What was asked for.").content("application/json", json(schema))),
    };
    if operation.changes_something() {
        let mut replayed = Header::new(string().enum_values(Some(["true"])));
        replayed.description = Some("Ours: the request with this Idempotency-Key was done before.".to_owned());
        good = good.header(REPLAYED.as_str(), replayed);
    }
    let mut all = vec![(status, good.build())];
    for (status, description) in refusals(operation) {
        let code = Header::new(string());
        let refused = plain(description).header("x-ms-error-code", code);
        // An answer to HEAD has no body.
        let refused = match operation.method {
            "HEAD" => refused,
            _ => refused.content("application/json", json("Error")),
        };
        all.push((status, refused.build()));
    }
    all
}

fn refusals(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("400", "A name, a parameter or the body cannot be used.")];
    if operation.path != "/health" {
        all.push(("401", "There is no token that is good for this request."));
        all.push(("403", "The token's user may not do this, or nobody may in this hub."));
    }
    all.extend(operation.missing.map(|missing| ("404", missing)));
    if operation.body != Body::None {
        all.push(("408", "The body did not come in time."));
        all.push(("415", "The body is of a type or in an encoding that is not known."));
    }
    if operation.changes_something() {
        let running = "The request with this Idempotency-Key is still being carried out.";
        all.push(("409", operation.conflict.unwrap_or(running)));
        all.push(("422", "The Idempotency-Key was used for another request to this path."));
    }
    all.push(("503", "The server cannot say now who asks; Retry-After tells when to try again."));
    all
}

fn components() -> Components {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A token that the access key signed for this URL, or POST /auth/token with audience=api."));
    let components = ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    let components = with::<answers::Error<'_>>(components);
    let components = with::<answers::Enrolment>(components);
    let components = with::<answers::MemberPage>(components);
    let components = with::<answers::GroupPage>(components);
    let components = with::<answers::Count>(components);
    let components = with::<answers::ConnectionPage>(components);
    let components = with::<answers::ConnectionDetails>(components);
    let components = with::<answers::NamePage>(components);
    let components = with::<answers::ClientToken>(components);
    let components = with::<answers::HubList>(components);
    let components = with::<answers::Me>(components);
    let components = with::<super::server::Overview>(components);
    with::<super::server::Configuration>(components).build()
}

/// Adds the schema of a type, and those of what it is made of.
fn with<T: ToSchema>(components: ComponentsBuilder) -> ComponentsBuilder {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let components = components.schemas_from_iter(parts);
    components.schema(T::name(), <T as PartialSchema>::schema())
}
