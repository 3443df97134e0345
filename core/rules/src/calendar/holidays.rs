//! The public holidays of France, by zone and year.
//!
//! The eleven of Code du travail L3133-1 hold everywhere; a zone adds its own. The lists are
//! those of the law since 2024, and a change within that time is kept with its year. What is
//! decided where the sources leave room:
//!
//! - **Alsace-Moselle** (L3134-13, ordonnance of 16 August 1892): *Vendredi saint* is a holiday
//!   only in a commune with a Protestant temple or a mixed church. Nearly all towns keep it and
//!   no public list names the others, so the zone has it. A commune without takes the zone
//!   `metropole` and closes on 26 December.
//! - **Abolition of slavery** (L3422-2 and the decree 83-1003; for public servants Code général
//!   de la fonction publique L651-2). For **Saint-Martin** these texts say 27 May, or 28 March by
//!   a slip of 2017; the circulars since 2018 and the prefecture keep **28 May**, and so do we.
//! - **Antilles**: Vendredi saint, Mi-carême and the day of Victor Schœlcher (21 July), which
//!   some lists have, are custom, not law, and not here; nor are the feasts of Islam on Mayotte,
//!   which the Code du travail leaves to custom, and whose days the moon decides.
//! - **Polynésie française**: *Matari’i* (20 November) took the place of the *fête de
//!   l’Autonomie* (29 June) from 2026 on (loi du pays 2025-12; announced in 2024 for 2025, which
//!   some lists still have). Its own code du travail has 5 March and Vendredi saint too.
//! - **Wallis-et-Futuna**: the list of the Administrateur supérieur's yearly order, of which
//!   *Saints Pierre et Paul* (29 June) is missing from many lists.
//! - **Nouvelle-Calédonie**: article 74 of the accord interprofessionnel territorial.
//! - **Lundi de Pentecôte** is a holiday even where it is worked as *journée de solidarité*.

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::easter;
use super::zone::HolidayZone;

/// A public holiday on its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holiday {
    /// The date.
    pub date: Date,
    /// Its French name, as citizens and agents read it: `Lundi de Pâques`.
    pub name: &'static str,
}

impl HolidayZone {
    /// The holidays of a year, in the order of their dates. Two can share a date (in Guyane, Whit
    /// Monday of 2019 was 10 June); then the national one comes first.
    #[must_use]
    pub fn holidays(self, year: i16) -> Vec<Holiday> {
        let easter = easter::sunday(year);
        let mut found: Vec<Holiday> = self
            .rules()
            .filter_map(|rule| {
                Some(Holiday {
                    date: rule.date(year, easter)?,
                    name: rule.name,
                })
            })
            .collect();
        found.sort_by_key(|holiday| holiday.date);
        found
    }

    /// The name of the holiday on a date, if it is one.
    #[must_use]
    pub fn holiday(self, date: Date) -> Option<&'static str> {
        let easter = easter::sunday(date.year());
        let rule = self.rules().find(|rule| rule.date(date.year(), easter) == Some(date))?;
        Some(rule.name)
    }

    fn rules(self) -> impl Iterator<Item = &'static Rule> {
        NATIONAL.iter().chain(self.local())
    }

    fn local(self) -> &'static [Rule] {
        match self {
            Self::Metropole | Self::SaintPierreEtMiquelon => &[],
            Self::AlsaceMoselle => const { &[GOOD_FRIDAY, fixed(12, 26, "Saint-Étienne")] },
            Self::Guadeloupe => const { &[fixed(5, 27, ABOLITION)] },
            Self::Guyane => const { &[fixed(6, 10, ABOLITION)] },
            Self::Martinique => const { &[fixed(5, 22, ABOLITION)] },
            Self::Reunion => const { &[fixed(12, 20, ABOLITION)] },
            Self::Mayotte => const { &[fixed(4, 27, ABOLITION)] },
            Self::SaintBarthelemy => const { &[fixed(10, 9, ABOLITION)] },
            Self::SaintMartin => const { &[fixed(5, 28, ABOLITION)] },
            Self::WallisEtFutuna => {
                const {
                    &[
                        fixed(4, 28, "Saint Pierre Chanel"),
                        fixed(6, 29, "Saints Pierre et Paul"),
                        fixed(7, 29, "Fête du Territoire"),
                    ]
                }
            }
            Self::PolynesieFrancaise => {
                const {
                    &[
                        fixed(3, 5, "Arrivée de l’Évangile"),
                        GOOD_FRIDAY,
                        fixed(6, 29, "Fête de l’Autonomie").until(2025),
                        fixed(11, 20, "Matari’i").since(2026),
                    ]
                }
            }
            Self::NouvelleCaledonie => const { &[fixed(9, 24, "Fête de la Citoyenneté")] },
        }
    }
}

/// Code du travail L3133-1.
const NATIONAL: [Rule; 11] = [
    fixed(1, 1, "Jour de l’an"),
    from_easter(1, "Lundi de Pâques"),
    fixed(5, 1, "Fête du travail"),
    fixed(5, 8, "Victoire de 1945"),
    from_easter(39, "Ascension"),
    from_easter(50, "Lundi de Pentecôte"),
    fixed(7, 14, "Fête nationale"),
    fixed(8, 15, "Assomption"),
    fixed(11, 1, "Toussaint"),
    fixed(11, 11, "Armistice de 1918"),
    fixed(12, 25, "Jour de Noël"),
];

const GOOD_FRIDAY: Rule = from_easter(-2, "Vendredi saint");
const ABOLITION: &str = "Abolition de l’esclavage";

struct Rule {
    name: &'static str,
    day: Day,
    since: i16,
    until: i16,
}

enum Day {
    /// Month and day of the month.
    Fixed(i8, i8),
    /// Days after Easter Sunday.
    FromEaster(i32),
}

const fn fixed(month: i8, day: i8, name: &'static str) -> Rule {
    Rule {
        name,
        day: Day::Fixed(month, day),
        since: i16::MIN,
        until: i16::MAX,
    }
}

const fn from_easter(days: i32, name: &'static str) -> Rule {
    Rule {
        name,
        day: Day::FromEaster(days),
        since: i16::MIN,
        until: i16::MAX,
    }
}

impl Rule {
    const fn since(self, year: i16) -> Self {
        Self { since: year, ..self }
    }

    const fn until(self, year: i16) -> Self {
        Self { until: year, ..self }
    }

    fn date(&self, year: i16, easter: Option<Date>) -> Option<Date> {
        if !(self.since..=self.until).contains(&year) {
            return None;
        }
        match self.day {
            Day::Fixed(month, day) => Date::new(year, month, day).ok(),
            Day::FromEaster(days) => easter?.checked_add(days.days()).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(zone: HolidayZone, year: i16) -> Vec<String> {
        let holidays = zone.holidays(year);
        holidays
            .iter()
            .map(|holiday| format!("{} {}", holiday.date, holiday.name))
            .collect()
    }

    #[test]
    fn the_eleven_of_2026() {
        let eleven = [
            "2026-01-01 Jour de l’an",
            "2026-04-06 Lundi de Pâques",
            "2026-05-01 Fête du travail",
            "2026-05-08 Victoire de 1945",
            "2026-05-14 Ascension",
            "2026-05-25 Lundi de Pentecôte",
            "2026-07-14 Fête nationale",
            "2026-08-15 Assomption",
            "2026-11-01 Toussaint",
            "2026-11-11 Armistice de 1918",
            "2026-12-25 Jour de Noël",
        ];
        assert_eq!(spelled(HolidayZone::Metropole, 2026), eleven);
        assert_eq!(spelled(HolidayZone::SaintPierreEtMiquelon, 2026), eleven);
    }

    #[test]
    fn those_that_move() {
        for (easter_monday, ascension, whit_monday) in [
            ("2024-04-01", "2024-05-09", "2024-05-20"),
            ("2025-04-21", "2025-05-29", "2025-06-09"),
            ("2026-04-06", "2026-05-14", "2026-05-25"),
            ("2027-03-29", "2027-05-06", "2027-05-17"),
            ("2028-04-17", "2028-05-25", "2028-06-05"),
        ] {
            for (date, name) in [
                (easter_monday, "Lundi de Pâques"),
                (ascension, "Ascension"),
                (whit_monday, "Lundi de Pentecôte"),
            ] {
                assert_eq!(HolidayZone::Metropole.holiday(date.parse().unwrap()), Some(name), "{date}");
            }
        }
    }

    /// What each zone adds to the eleven, 2024 to 2028.
    #[test]
    fn each_zone_has_its_own() {
        let abolition = |day: &str| vec![format!("{day} {ABOLITION}")];
        for year in 2024_i16..=2028 {
            let good_friday = ["03-29", "04-18", "04-03", "03-26", "04-14"][usize::from(year.abs_diff(2024))];
            let good_friday = format!("{good_friday} Vendredi saint");
            let own = |zone| match zone {
                HolidayZone::Metropole | HolidayZone::SaintPierreEtMiquelon => vec![],
                HolidayZone::AlsaceMoselle => vec![good_friday.clone(), "12-26 Saint-Étienne".to_owned()],
                HolidayZone::Guadeloupe => abolition("05-27"),
                HolidayZone::Guyane => abolition("06-10"),
                HolidayZone::Martinique => abolition("05-22"),
                HolidayZone::Reunion => abolition("12-20"),
                HolidayZone::Mayotte => abolition("04-27"),
                HolidayZone::SaintBarthelemy => abolition("10-09"),
                HolidayZone::SaintMartin => abolition("05-28"),
                HolidayZone::WallisEtFutuna => [
                    "04-28 Saint Pierre Chanel",
                    "06-29 Saints Pierre et Paul",
                    "07-29 Fête du Territoire",
                ]
                .map(str::to_owned)
                .to_vec(),
                HolidayZone::PolynesieFrancaise => {
                    let last = if year < 2026 {
                        "06-29 Fête de l’Autonomie"
                    } else {
                        "11-20 Matari’i"
                    };
                    vec!["03-05 Arrivée de l’Évangile".to_owned(), good_friday.clone(), last.to_owned()]
                }
                HolidayZone::NouvelleCaledonie => vec!["09-24 Fête de la Citoyenneté".to_owned()],
            };
            let national = spelled(HolidayZone::Metropole, year);
            assert_eq!(national.len(), 11);
            for zone in HolidayZone::ALL {
                let mut all = spelled(zone, year);
                assert_eq!(all.len(), 11 + own(zone).len(), "{zone} {year}");
                assert!(all.is_sorted(), "{zone} {year}");
                all.retain(|holiday| !national.contains(holiday));
                let wanted: Vec<String> = own(zone).iter().map(|day| format!("{year}-{day}")).collect();
                assert_eq!(all, wanted, "{zone}");
            }
        }
    }

    #[test]
    fn list_and_question_agree() {
        for zone in HolidayZone::ALL {
            for year in 2024..=2028 {
                let holidays = zone.holidays(year);
                let mut date = Date::constant(year, 1, 1);
                while date.year() == year {
                    let listed = holidays.iter().find(|holiday| holiday.date == date).map(|holiday| holiday.name);
                    assert_eq!(zone.holiday(date), listed, "{zone} {date}");
                    date = date.tomorrow().unwrap();
                }
            }
        }
        let shared: Vec<&str> = HolidayZone::Guyane.holidays(2019).iter().map(|holiday| holiday.name).collect();
        assert_eq!(shared[5..7], ["Lundi de Pentecôte", ABOLITION]);
        assert_eq!(HolidayZone::Metropole.holidays(1500).len(), 8);
    }
}
