//! XML beside JSON: one mapping, made from the document's own schemas, so that neither can say what the other does not.
//!
//! A member of an object is an element of its name, in any order; an item of a list is an element `item`; what is null or absent has no
//! element. Objects whose members nobody knows beforehand (a form's `fields`, an event's `data`) have elements `member` with a name and
//! a type. All of it is of the namespace [`NAMESPACE`] and described by [`SCHEMA`].

mod layer;
mod read;
pub(crate) mod schema;
mod shapes;
mod write;

pub(crate) use layer::{Xml, describe, xml};

/// Of every element but those of problems.
pub(crate) const NAMESPACE: &str = "urn:voxea:1";
/// Where the schema is.
pub(crate) const SCHEMA: &str = "/schemas/voxea-1.xsd";
/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/xml";

/// What a document's outermost element may be, and the schema of what it holds.
pub(super) const ROOTS: [(&str, &str); 6] = [
    ("requests", "Requests"),
    ("request", "Request"),
    ("interactions", "Interactions"),
    ("changes", "Changes"),
    ("contact", "Taken"),
    ("brought", "Brought"),
];
