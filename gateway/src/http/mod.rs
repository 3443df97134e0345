//! The REST API: one door call a handler, refusals as problem details, routes and OpenAPI document from one list.

mod accept;
mod api;
pub(crate) mod auth;
mod call;
mod call_id;
pub(crate) mod compat;
mod compressed;
pub(crate) mod cors;
mod cursor;
mod deprecated;
mod download;
mod encoded;
mod etag;
mod extract;
mod files;
mod guard;
mod idempotency;
mod identify;
mod json;
mod known;
mod members;
mod openapi;
mod operation;
mod places;
mod preview;
mod problem;
mod query;
mod quota;
mod range;
mod reads;
mod router;
pub(crate) mod server;
mod shape;
mod stream;
mod throttle;
pub(crate) mod tls;
mod v1;
mod xml;

#[cfg(test)]
mod tests;

pub(crate) use api::{Api, Settings, account};
pub(crate) use members::members;
pub(crate) use router::router;
