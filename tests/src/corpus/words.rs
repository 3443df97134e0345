//! What citizens write.

use crate::dice::Dice;

/// First names.
pub(super) const FIRST: [&str; 16] = [
    "Jérôme",
    "Hélène",
    "Zoé",
    "François",
    "Maëlle",
    "Benoît",
    "Amélie",
    "Loïc",
    "Chloé",
    "Gaël",
    "Inès",
    "Rémi",
    "Thérèse",
    "Noël",
    "Solène",
    "Yanis",
];
/// Family names.
pub(super) const LAST: [&str; 16] = [
    "Lefèvre",
    "Müller",
    "Garçon",
    "Béranger",
    "Dupré",
    "Lemaître",
    "Ferré",
    "Châtelain",
    "Noé",
    "Perrin",
    "Besançon",
    "Évrard",
    "Gérard",
    "Hébert",
    "Moulin",
    "Traoré",
];
const SUBJECTS: [&str; 14] = [
    "Nid-de-poule rue de l’Église",
    "Inscription à l’école élémentaire",
    "Place en crèche à la rentrée",
    "Éclairage public éteint",
    "Dépôt sauvage près du cimetière",
    "Acte de naissance",
    "Carte d’identité périmée",
    "Dérogation scolaire",
    "Fuite d’eau sur la chaussée",
    "Stationnement gênant",
    "Réservation de la salle des fêtes",
    "Recensement à 16 ans",
    "Élagage des platanes",
    "Cantine : tarif réduit à 3 €",
];
const SENTENCES: [&str; 18] = [
    "Je me permets de vous écrire au sujet de la voirie devant chez moi.",
    "Depuis le début de l’été, le trottoir est défoncé et les enfants n’y passent plus.",
    "J’ai déjà appelé deux fois, sans réponse à ce jour.",
    "Pourriez-vous me préciser les pièces à fournir pour l’inscription ?",
    "Notre fille aura trois ans en décembre et nous avons emménagé en août.",
    "Les lampadaires s’éteignent à 22 h et l’allée reste dans le noir complet.",
    "La facture s’élève à 128,50 €, ce qui nous paraît très élevé.",
    "Vous trouverez ci-joint le justificatif demandé par vos services.",
    "Un dépôt de gravats bloque l’accès au sentier depuis mardi dernier.",
    "Ma mère, âgée de 87 ans, ne peut plus se déplacer jusqu’à la mairie.",
    "Serait-il possible d’obtenir un rendez-vous avant la fin du mois ?",
    "Le bac à ordures n’a pas été ramassé ces deux dernières semaines.",
    "Je vous remercie par avance de l’attention que vous porterez à ma demande.",
    "Nous souhaitons organiser un vide-grenier le 14 juillet prochain.",
    "L’arbre menace de tomber sur la ligne électrique au n° 12.",
    "Merci de me dire à qui m’adresser, car je ne sais plus où j’en suis.",
    "Le chantier commence à 6 h du matin, bien avant l’heure autorisée.",
    "Où en est le dossier de subvention de notre association ?",
];

/// A subject.
pub(super) fn subject(dice: &mut Dice) -> &'static str {
    pick(dice, &SUBJECTS)
}

/// Sentences, a paragraph each, of about so many bytes together; lines end in CRLF.
pub(super) fn paragraphs(dice: &mut Dice, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 200);
    while text.len() < bytes {
        text.push_str(pick(dice, &SENTENCES));
        text.push_str(if dice.below(3) == 0 { "\r\n\r\n" } else { "\r\n" });
    }
    text
}

/// One of them.
pub(super) fn pick<'a>(dice: &mut Dice, from: &[&'a str]) -> &'a str {
    let at = usize::try_from(dice.below(from.len() as u64)).unwrap_or(0);
    from.get(at).copied().unwrap_or_default()
}

/// Letters without accents, lower case, as they stand in an address.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            'é' | 'è' | 'ê' | 'ë' | 'É' => 'e',
            'à' | 'â' => 'a',
            'î' | 'ï' => 'i',
            'ô' => 'o',
            'ü' | 'û' => 'u',
            'ç' => 'c',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}
