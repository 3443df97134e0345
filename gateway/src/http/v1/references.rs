//! By what other systems know a request, as it shows them.

use serde::Serialize;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::request::ExternalReference;

/// By what another system knows a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct External {
    /// The code of the system.
    #[schema(example = "ged-voirie")]
    system: String,
    /// The request's id there.
    id: String,
    /// Where it stands there, in that system's own word; null while it said nothing.
    status: Option<String>,
    /// When that was said.
    updated_at: String,
}

impl From<ExternalReference> for External {
    fn from(reference: ExternalReference) -> Self {
        Self {
            system: reference.system,
            id: reference.external_id,
            status: reference.status,
            updated_at: rfc3339(reference.updated_at),
        }
    }
}
