//! Webhooks: back-office applications that are told of events by HTTP (Standard Webhooks 1.0).
//!
//! They are hints, and the feed is the truth. Each webhook has a position in the feed: events behind it become deliveries in
//! the transaction that moves it, so that no death between two steps loses one, and a delivery that was under way when its
//! daemon died is attempted again. A webhook has so many open deliveries and no more: one whose endpoint is away stands still
//! in the feed instead of piling up rows.

mod delivery;
mod door;
mod pace;
mod payload;
mod row;
mod sending;
mod sign;

pub use delivery::{Deliveries, Delivery, DeliveryState};
pub use door::{NewWebhook, Patch, Webhooks};
pub use row::Webhook;
pub use sending::{Due, Endpoint, Outcome, Turn};
pub use sign::{Key, Scheme};
