//! The themes that channels name: whether there are such, only the catalogue in the database knows.

use voxea_core::base::nearest::hint;
use voxea_core::base::settings::Problem;
use voxea_core::catalogue::Snapshot;

use super::Config;

impl Config {
    /// Whether the catalogue has anything to say of it.
    pub(crate) fn names_themes(&self) -> bool {
        !self.themes.is_empty() || self.sip.as_ref().is_some_and(|sip| !sip.menus.is_empty())
    }

    /// What a catalogue says of it, by place. A menu without a key is a warning: keys come and go without a restart.
    pub(crate) fn judged_by(&self, catalogue: &Snapshot) -> Vec<Problem> {
        let known = || catalogue.document.themes.iter().filter(|theme| theme.enabled);
        let mut problems = Vec::new();
        for named in &self.themes {
            let message = match catalogue.theme(&named.text) {
                Some(theme) if theme.enabled => continue,
                Some(_) => format!(
                    "{:?} is switched off in the catalogue: what comes in here would have no theme; switch it on, or name another",
                    named.text
                ),
                None => format!(
                    "{:?} is no theme of the catalogue{}; `voxea catalogue export` lists them",
                    named.text,
                    hint(&named.text, known().map(|theme| theme.code.as_str()))
                ),
            };
            problems.push(named.problem(message));
        }
        // 9 refuses the recording, and chooses nothing.
        let has_key = known().any(|theme| theme.digit.as_deref().is_some_and(|digit| digit != "9"));
        for menu in self.sip.iter().flat_map(|sip| &sip.menus).filter(|_| !has_key) {
            problems.push(menu.warning(
                "is not heard, because no theme of the catalogue has a `digit` yet: write them into what `voxea catalogue export` prints, and import it",
            ));
        }
        problems.sort_by(|one, other| one.place.cmp(&other.place).then_with(|| one.key.cmp(&other.key)));
        problems
    }
}
