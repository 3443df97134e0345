//! Which requests a grant reaches, by the themes that there are.

use std::collections::BTreeSet;

use super::nouns::Theme;
use super::snapshot::Snapshot;
use crate::base::actor::Actor;
use crate::base::grant::{Grant, Operation};
use crate::store::{Reach, Themes, Way};

impl Snapshot {
    /// The requests to which an actor may do something. The system and channels reach all.
    #[must_use]
    pub fn reach(&self, actor: &Actor, operation: Operation) -> Reach {
        if matches!(actor, Actor::System | Actor::Channel(_)) {
            return Reach::everything();
        }
        let grants = actor.grants().iter().filter(|grant| grant.operations.contain(operation));
        Reach::new(grants.map(|grant| self.way(grant)).collect())
    }

    fn way(&self, grant: &Grant) -> Way {
        let above = |theme: &&Theme| theme.confidentiality > grant.confidentiality;
        let codes = |themes: &mut dyn Iterator<Item = &Theme>| themes.map(|theme| theme.code.clone()).collect::<Vec<_>>();
        let themes = &self.document.themes;
        let reached = if grant.themes.is_none() && grant.services.is_none() {
            Themes::AllBut(codes(&mut themes.iter().filter(above)))
        } else {
            let services = self.within(grant.services.iter().flatten());
            let named = |theme: &&Theme| {
                services.contains(theme.service.as_str()) || grant.themes.as_ref().is_some_and(|codes| codes.contains(&theme.code))
            };
            Themes::Only {
                codes: codes(&mut themes.iter().filter(named).filter(|theme| !above(theme))),
                unthemed: grant.unthemed,
            }
        };
        Way {
            channels: grant.channels.as_ref().map(|channels| channels.iter().copied().collect()),
            themes: reached,
        }
    }

    /// These services, and those that are part of them.
    fn within<'a>(&'a self, codes: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
        let mut found: BTreeSet<&str> = codes.map(String::as_str).collect();
        loop {
            let before = found.len();
            for service in &self.document.services {
                if service.parent.as_deref().is_some_and(|parent| found.contains(parent)) {
                    found.insert(&service.code);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::base::actor::Agent;
    use crate::catalogue::Document;

    fn snapshot() -> Snapshot {
        let document: Document = serde_json::from_value(json!({
            "domains": [{"code": "d", "label": "D"}],
            "services": [
                {"code": "technique", "name": "T", "domain": "d"},
                {"code": "voirie", "name": "V", "domain": "d", "parent": "technique"},
                {"code": "eclairage", "name": "E", "domain": "d", "parent": "voirie"},
                {"code": "social", "name": "S", "domain": "d"},
            ],
            "themes": [
                {"code": "trous", "label": "T", "service": "voirie"},
                {"code": "lampes", "label": "L", "service": "eclairage"},
                {"code": "aide", "label": "A", "service": "social", "confidentiality": "restricted"},
                {"code": "enfance", "label": "E", "service": "social", "confidentiality": "secret"},
            ],
        }))
        .unwrap();
        Snapshot::new(1, document, BTreeMap::new())
    }

    fn covered(grants: serde_json::Value, operation: Operation) -> Vec<&'static str> {
        let agent = Agent {
            id: "1".to_owned(),
            login: "a".to_owned(),
            name: "A".to_owned(),
            grants: serde_json::from_value(grants).unwrap(),
        };
        let reach = snapshot().reach(&Actor::Agent(Arc::new(agent)), operation);
        let themes = [None, Some("trous"), Some("lampes"), Some("aide"), Some("enfance"), Some("gone")];
        let covered = themes.into_iter().filter(|theme| reach.covers("sms", *theme));
        covered.map(|theme| theme.unwrap_or("-")).collect()
    }

    #[test]
    fn a_grant_reaches_what_it_names_up_to_its_level() {
        let read = |grant| covered(json!([grant]), Operation::Read);
        assert_eq!(read(json!({"operations": ["read"]})), ["-", "trous", "lampes", "gone"]);
        assert_eq!(
            read(json!({"operations": ["read"], "confidentiality": "secret"})),
            ["-", "trous", "lampes", "aide", "enfance", "gone"]
        );
        assert_eq!(
            read(json!({"operations": ["read"], "services": ["technique"]})),
            ["trous", "lampes"]
        );
        assert_eq!(
            read(json!({"operations": ["read"], "services": ["eclairage"], "themes": ["aide", "trous"], "unthemed": true})),
            ["-", "trous", "lampes"]
        );
        assert_eq!(
            read(json!({"operations": ["read"], "services": ["social"], "confidentiality": "restricted"})),
            ["aide"]
        );
        assert_eq!(read(json!({"operations": ["reply"]})), Vec::<&str>::new());
        assert_eq!(read(json!({"operations": ["admin"], "channels": ["email"]})), Vec::<&str>::new());
    }

    #[test]
    fn grants_add_up_for_each_operation() {
        let grants = json!([{"operations": ["read"], "services": ["voirie"]}, {"operations": ["read", "reply"], "themes": ["trous"]}]);
        assert_eq!(covered(grants.clone(), Operation::Read), ["trous", "lampes"]);
        assert_eq!(covered(grants, Operation::Reply), ["trous"]);
    }
}
