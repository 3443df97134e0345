//! Where the same days are public holidays; which days, [`HolidayZone::holidays`] says.

use std::fmt;
use std::str::FromStr;

/// Where the same days are holidays. `Display` and `FromStr` are its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HolidayZone {
    /// Metropolitan France without Alsace-Moselle, and whatever adds nothing to the law's eleven.
    Metropole,
    /// Bas-Rhin, Haut-Rhin, Moselle.
    AlsaceMoselle,
    /// Guadeloupe.
    Guadeloupe,
    /// Guyane.
    Guyane,
    /// Martinique.
    Martinique,
    /// La Réunion.
    Reunion,
    /// Mayotte.
    Mayotte,
    /// Saint-Pierre-et-Miquelon.
    SaintPierreEtMiquelon,
    /// Saint-Barthélemy.
    SaintBarthelemy,
    /// Saint-Martin.
    SaintMartin,
    /// Wallis-et-Futuna.
    WallisEtFutuna,
    /// Polynésie française.
    PolynesieFrancaise,
    /// Nouvelle-Calédonie.
    NouvelleCaledonie,
}

/// No holiday zone has this code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownHolidayZone(pub String);

impl fmt::Display for UnknownHolidayZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = HolidayZone::ALL.map(HolidayZone::code).join(", ");
        write!(f, "{:?} is no holiday zone; they are: {codes}", self.0)
    }
}

impl std::error::Error for UnknownHolidayZone {}

impl HolidayZone {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Metropole,
        Self::AlsaceMoselle,
        Self::Guadeloupe,
        Self::Guyane,
        Self::Martinique,
        Self::Reunion,
        Self::Mayotte,
        Self::SaintPierreEtMiquelon,
        Self::SaintBarthelemy,
        Self::SaintMartin,
        Self::WallisEtFutuna,
        Self::PolynesieFrancaise,
        Self::NouvelleCaledonie,
    ];

    /// Its spelling in configuration and in the API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Metropole => "metropole",
            Self::AlsaceMoselle => "alsace-moselle",
            Self::Guadeloupe => "guadeloupe",
            Self::Guyane => "guyane",
            Self::Martinique => "martinique",
            Self::Reunion => "reunion",
            Self::Mayotte => "mayotte",
            Self::SaintPierreEtMiquelon => "saint-pierre-et-miquelon",
            Self::SaintBarthelemy => "saint-barthelemy",
            Self::SaintMartin => "saint-martin",
            Self::WallisEtFutuna => "wallis-et-futuna",
            Self::PolynesieFrancaise => "polynesie-francaise",
            Self::NouvelleCaledonie => "nouvelle-caledonie",
        }
    }

    /// The IANA time zone of its main island, as a default: the Marquises and the Gambier keep
    /// other times than Tahiti.
    #[must_use]
    pub fn time_zone(self) -> &'static str {
        match self {
            Self::Metropole | Self::AlsaceMoselle => "Europe/Paris",
            Self::Guadeloupe => "America/Guadeloupe",
            Self::Guyane => "America/Cayenne",
            Self::Martinique => "America/Martinique",
            Self::Reunion => "Indian/Reunion",
            Self::Mayotte => "Indian/Mayotte",
            Self::SaintPierreEtMiquelon => "America/Miquelon",
            Self::SaintBarthelemy => "America/St_Barthelemy",
            Self::SaintMartin => "America/Marigot",
            Self::WallisEtFutuna => "Pacific/Wallis",
            Self::PolynesieFrancaise => "Pacific/Tahiti",
            Self::NouvelleCaledonie => "Pacific/Noumea",
        }
    }
}

impl fmt::Display for HolidayZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for HolidayZone {
    type Err = UnknownHolidayZone;

    fn from_str(code: &str) -> Result<Self, UnknownHolidayZone> {
        let found = Self::ALL.into_iter().find(|zone| zone.code() == code);
        found.ok_or_else(|| UnknownHolidayZone(code.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_time_zones() {
        for zone in HolidayZone::ALL {
            assert_eq!(zone.to_string().parse(), Ok(zone));
            assert!(jiff::tz::TimeZone::get(zone.time_zone()).is_ok(), "{zone}");
        }
        let unknown = "corse".parse::<HolidayZone>().unwrap_err().to_string();
        assert!(
            unknown.starts_with("\"corse\" is no holiday zone; they are: metropole, alsace-moselle,"),
            "{unknown}"
        );
    }
}
