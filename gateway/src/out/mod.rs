//! What leaves this machine because somebody who calls the API has named an address: webhooks, and the guard before them.

mod answer;
pub(crate) mod guard;
mod post;
pub(crate) mod sender;
mod url;

pub(crate) use guard::Guard;
pub(crate) use post::Post;
pub(crate) use sender::{Sender, send};
pub(crate) use url::Target;
