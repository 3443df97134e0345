//! The one table of states.

use voxea_core::request::Status;

/// A request's state as GeoReport has it, and as citizens read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// `open` or `closed`.
    pub(super) status: &'static str,
    /// In French.
    pub(super) notes: &'static str,
}

/// The one table of states. What is in none of its rows is shown to nobody.
const STANDINGS: [(Status, &str, &str); 12] = [
    (Status::Received, "open", "Demande reçue"),
    (Status::ToQualify, "open", "Demande reçue"),
    (Status::Open, "open", "Demande enregistrée"),
    (Status::InProgress, "open", "Traitement en cours"),
    (Status::AwaitingCitizen, "open", "En attente de précisions du demandeur"),
    (Status::AwaitingThirdParty, "open", "Traitement en cours"),
    (Status::AwaitingValidation, "open", "Traitement en cours"),
    (Status::Reopened, "open", "Demande rouverte"),
    (Status::Transmitted, "closed", "Demande transmise à l’administration compétente"),
    (Status::Answered, "closed", "Demande traitée"),
    (Status::Closed, "closed", "Demande close"),
    (Status::Archived, "closed", "Demande close"),
];

/// Where a state stands; `None` for those that are nobody's business: unwanted, merged and destroyed ones.
pub(super) fn standing(status: &str) -> Option<Standing> {
    let row = STANDINGS.iter().find(|(known, ..)| known.as_str() == status);
    row.map(|(_, status, notes)| Standing { status, notes })
}

/// The states of a GeoReport status; all that are shown without one.
pub(super) fn statuses(wanted: Option<&str>) -> Vec<Status> {
    let rows = STANDINGS
        .iter()
        .filter(|(_, status, _)| wanted.is_none_or(|wanted| *status == wanted));
    rows.map(|(status, ..)| *status).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_open_or_closed_or_nobodys_business() {
        let hidden: Vec<Status> = Status::ALL
            .iter()
            .copied()
            .filter(|status| standing(status.as_str()).is_none())
            .collect();
        assert_eq!(hidden, [Status::Merged, Status::Spam, Status::Abusive, Status::Eliminated]);
        assert_eq!(statuses(Some("open")).len() + statuses(Some("closed")).len(), statuses(None).len());
        assert!(statuses(Some("lost")).is_empty());
        // Who may still add to a request sees it as open, but for one that has its answer.
        for status in statuses(Some("open")) {
            assert!(status.is_open(), "{status}");
        }
    }
}
