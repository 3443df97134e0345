//! What a citizen and a contact point must satisfy before they are stored.

use voxea_rules::visible::is_hidden;

use super::address::{Address, PointKind};
use super::nouns::{CitizenKind, CitizenStatus, NewCitizen, NewPoint, Patch, PointPatch};
use crate::base::error::{CoreError, Result};

/// Characters of a name, a label, a reason.
const NAME: usize = 200;
/// Characters of a need or a note.
const WORDS: usize = 2000;
/// Characters of an address.
const ADDRESS: usize = 500;
/// Characters of a language tag (RFC 5646 §4.4.1).
const LANGUAGE: usize = 35;
/// Contact points of one citizen.
pub(super) const POINTS: usize = 50;

/// A new citizen, and the addresses of their points in the same order.
pub(super) fn citizen(new: &NewCitizen) -> Result<Vec<Address>> {
    members(&Patch {
        kind: Some(new.kind),
        given_name: Some(new.given_name.clone()),
        family_name: Some(new.family_name.clone()),
        organisation: Some(new.organisation.clone()),
        language: Some(new.language.clone()),
        needs: Some(new.needs.clone()),
        note: Some(new.note.clone()),
        identity_level: Some(new.identity_level),
        status: None,
    })?;
    named(new.kind, new.organisation.as_deref())?;
    if new.points.len() > POINTS {
        return Err(CoreError::invalid(
            "/contact_points",
            format!("must have at most {POINTS} contact points"),
        ));
    }
    let points = new.points.iter().enumerate();
    points.map(|(at, one)| point(&format!("/contact_points/{at}"), one)).collect()
}

/// An organisation is known by its name; of a person nothing but a number may be known.
pub(super) fn named(kind: CitizenKind, organisation: Option<&str>) -> Result<()> {
    if kind == CitizenKind::Organisation && organisation.is_none() {
        return Err(CoreError::invalid("/organisation", "an organisation must have its name here"));
    }
    Ok(())
}

/// The members of a patch, each alone.
pub(super) fn members(patch: &Patch) -> Result<()> {
    line("/given_name", &patch.given_name, NAME)?;
    line("/family_name", &patch.family_name, NAME)?;
    line("/organisation", &patch.organisation, NAME)?;
    words("/needs", &patch.needs)?;
    words("/note", &patch.note)?;
    if let Some(Some(tag)) = &patch.language {
        let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let first = tag.split('-').next().unwrap_or_default();
        let sound = tag.len() <= LANGUAGE
            && tag.split('-').all(part)
            && (2..=3).contains(&first.len())
            && first.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !sound {
            return Err(CoreError::invalid("/language", "must be a language tag such as fr, ar or pt-BR"));
        }
    }
    if patch.identity_level.is_some_and(|level| level > 3) {
        return Err(CoreError::invalid("/identity_level", "must be a number from 0 to 3"));
    }
    if patch.status.is_some_and(|status| !status.is_current()) {
        return Err(CoreError::invalid(
            "/status",
            format!("must be {} or {}", CitizenStatus::Active, CitizenStatus::Restricted),
        ));
    }
    Ok(())
}

/// A point, whose pointers begin with `place`, and its address.
pub(super) fn point(place: &str, new: &NewPoint) -> Result<Address> {
    members_of_point(
        place,
        &PointPatch {
            label: Some(new.label.clone()),
            verified_how: Some(new.verified_how.clone()),
            deliverable: false,
        },
    )?;
    let pointer = format!("{place}/value");
    visible(&pointer, &new.raw, ADDRESS, new.kind == PointKind::Postal)?;
    let wrong = match new.kind {
        PointKind::Phone => {
            "must be a telephone number, with + and country code unless it is French, or a short number; a withheld number is nobody's"
        }
        PointKind::Email => "must be a mail address such as a@example.fr",
        PointKind::Postal | PointKind::Other => "must have a letter or a digit",
    };
    Address::read(new.kind, &new.raw)
        .filter(|address| new.kind != PointKind::Phone || address.is_dialled())
        .ok_or_else(|| CoreError::invalid(pointer, wrong))
}

/// What may be changed of a point.
pub(super) fn members_of_point(place: &str, patch: &PointPatch) -> Result<()> {
    line(&format!("{place}/label"), &patch.label, NAME)?;
    line(&format!("{place}/verified_how"), &patch.verified_how, NAME)
}

/// Why an address wants no campaigns.
pub(super) fn reason(how: Option<&str>) -> Result<()> {
    how.map_or(Ok(()), |how| visible("/how", how, NAME, false))
}

fn line(pointer: &str, member: &Option<Option<String>>, longest: usize) -> Result<()> {
    match member {
        Some(Some(text)) => visible(pointer, text, longest, false),
        _ => Ok(()),
    }
}

fn words(pointer: &str, member: &Option<Option<String>>) -> Result<()> {
    match member {
        Some(Some(text)) => visible(pointer, text, WORDS, true),
        _ => Ok(()),
    }
}

/// Not empty, not too long, and without characters that nobody sees, but for LF where there may be several lines.
fn visible(pointer: &str, text: &str, longest: usize, lines: bool) -> Result<()> {
    let odd = |char: char| is_hidden(char) && !(lines && char == '\n');
    if text.trim().is_empty() || text.chars().count() > longest || text.contains(odd) {
        let kind = if lines {
            "characters, with LF between lines"
        } else {
            "visible characters"
        };
        return Err(CoreError::invalid(pointer, format!("must have 1 to {longest} {kind}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer<T>(checked: Result<T>) -> Option<String> {
        match checked {
            Err(CoreError::Invalid { pointer, .. }) => Some(pointer),
            _ => None,
        }
    }

    fn given(name: &str) -> Patch {
        Patch {
            given_name: Some(Some(name.to_owned())),
            ..Patch::default()
        }
    }

    fn written(kind: PointKind, raw: &str) -> NewPoint {
        NewPoint {
            kind,
            raw: raw.to_owned(),
            label: None,
            verified_how: None,
        }
    }

    #[test]
    fn names_are_visible_and_end() {
        assert_eq!(pointer(members(&given(&"é".repeat(NAME)))), None);
        for bad in ["", " ", "a\0", "a\nb", "a\u{1b}[0m", &"é".repeat(NAME + 1), "Claire\u{202e}tnegA"] {
            assert_eq!(pointer(members(&given(bad))).as_deref(), Some("/given_name"), "{bad:?}");
        }
        let needs = Patch {
            needs: Some(Some("Gros caractères\nlangue des signes".to_owned())),
            ..Patch::default()
        };
        assert_eq!(pointer(members(&needs)), None);
    }

    #[test]
    fn languages_levels_and_states() {
        let language = |tag: &str| {
            pointer(members(&Patch {
                language: Some(Some(tag.to_owned())),
                ..Patch::default()
            }))
        };
        for tag in ["fr", "pt-BR", "zh-Hant-TW", "gsw"] {
            assert_eq!(language(tag), None, "{tag}");
        }
        for tag in ["", "f", "français", "fr_FR", "fr-", "12"] {
            assert_eq!(language(tag).as_deref(), Some("/language"), "{tag}");
        }
        let level = Patch {
            identity_level: Some(4),
            ..Patch::default()
        };
        assert_eq!(pointer(members(&level)).as_deref(), Some("/identity_level"));
        let merged = Patch {
            status: Some(CitizenStatus::Merged),
            ..Patch::default()
        };
        assert_eq!(pointer(members(&merged)).as_deref(), Some("/status"));
    }

    #[test]
    fn a_point_must_be_an_address_of_its_kind() {
        for (kind, raw) in [
            (PointKind::Phone, "06 12 34 56 78"),
            (PointKind::Phone, "36123"),
            (PointKind::Email, "a@b.fr"),
            (PointKind::Postal, "12 rue Foch\n75001 Paris"),
            (PointKind::Other, "@marie"),
        ] {
            assert_eq!(pointer(point("", &written(kind, raw))), None, "{raw}");
        }
        for (kind, raw) in [
            (PointKind::Phone, "anonymous"),
            (PointKind::Phone, "06 12 34 56 7"),
            (PointKind::Phone, "MAIRIE"),
            (PointKind::Email, "a"),
            (PointKind::Postal, "—"),
            (PointKind::Other, ""),
        ] {
            assert_eq!(pointer(point("/x", &written(kind, raw))).as_deref(), Some("/x/value"), "{raw}");
        }
        let mut many = NewCitizen::new(CitizenKind::Person);
        many.points = vec![written(PointKind::Other, "a"); POINTS + 1];
        assert_eq!(pointer(citizen(&many)).as_deref(), Some("/contact_points"));
        let nameless = NewCitizen::new(CitizenKind::Organisation);
        assert_eq!(pointer(citizen(&nameless)).as_deref(), Some("/organisation"));
    }
}
