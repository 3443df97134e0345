//! The French acknowledgement that a citizen gets by e-mail.
//!
//! It names what a registration notice must name: the date received, the service and how to
//! reach it, and the reference. What silence decides, and when, depends on the theme and is
//! not said here; so the text does not call itself an *accusé de réception*, which has legal
//! effect (CRPA L112-11, R112-11-1).
//!
//! Nothing that the citizen wrote is quoted: whoever forges a sender must not be able to have
//! a town hall deliver his words.

use crate::moment::Zone;

/// What an acknowledgement is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The body's name: `Mairie de Saint-Exemple`.
    pub organisation: &'a str,
    /// The request's reference: `2026-0001234-7`.
    pub reference: &'a str,
    /// When the mail was received, in milliseconds UTC.
    pub received_at: i64,
    /// The body's time zone.
    pub zone: &'a Zone,
    /// The body's telephone number, as it is to be read; left out when absent.
    pub telephone: Option<&'a str>,
    /// The body's postal address, its lines parted by line feeds; left out when absent.
    pub postal: Option<&'a str>,
}

/// A finished mail text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// One line, with the reference, so that an answer finds its request.
    pub subject: String,
    /// Plain text, lines ended by LF.
    pub body: String,
}

/// Writes the acknowledgement of an e-mail.
#[must_use]
pub fn email(inputs: &Inputs<'_>) -> Receipt {
    let organisation = line(inputs.organisation);
    let reference = line(inputs.reference);
    let received = inputs.zone.date_and_time(inputs.received_at);

    let subject = match organisation.as_str() {
        "" => format!("Votre demande {reference} est enregistrée"),
        name => format!("Votre demande {reference} est enregistrée - {name}"),
    };

    let mut body = format!(
        "Bonjour,\n\
         \n\
         Nous avons bien reçu votre message le {received}.\n\
         Votre demande est enregistrée sous la référence {reference}.\n\
         \n\
         Pour la compléter, répondez à ce message sans en modifier l’objet.\n"
    );
    if let Some(telephone) = inputs.telephone.map(line).filter(|telephone| !telephone.is_empty()) {
        body.push_str(&format!(
            "Vous pouvez aussi nous appeler au {telephone} en rappelant cette référence.\n"
        ));
    }
    body.push_str(
        "\nCe message est envoyé automatiquement. Il ne préjuge pas de la suite qui sera donnée \
         à votre demande.\n",
    );
    let postal = inputs.postal.unwrap_or_default().lines().map(line);
    let signature: Vec<String> = std::iter::once(organisation)
        .chain(postal)
        .filter(|line| !line.is_empty())
        .collect();
    if !signature.is_empty() {
        body.push_str(&format!("\n{}\n", signature.join("\n")));
    }
    Receipt { subject, body }
}

/// One line: a line break in a name must not begin a header of its own.
fn line(text: &str) -> String {
    text.split(|char: char| char.is_control() || char.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn the_whole_letter() {
        let zone = Zone::named("Europe/Paris").unwrap();
        let reference = reference::format(2026, 1_234).unwrap();
        let receipt = email(&Inputs {
            organisation: "Mairie de Saint-Exemple",
            reference: &reference,
            received_at: 1_795_525_500_000,
            zone: &zone,
            telephone: Some("01 40 20 50 50"),
            postal: Some("1 place de la Mairie\n12345 Saint-Exemple\n"),
        });
        assert_eq!(
            receipt.subject,
            format!("Votre demande {reference} est enregistrée - Mairie de Saint-Exemple")
        );
        assert_eq!(
            receipt.body,
            format!(
                "Bonjour,\n\n\
                 Nous avons bien reçu votre message le 24 novembre 2026 à 14 h 05.\n\
                 Votre demande est enregistrée sous la référence {reference}.\n\n\
                 Pour la compléter, répondez à ce message sans en modifier l’objet.\n\
                 Vous pouvez aussi nous appeler au 01 40 20 50 50 en rappelant cette référence.\n\n\
                 Ce message est envoyé automatiquement. Il ne préjuge pas de la suite qui sera donnée à votre demande.\n\n\
                 Mairie de Saint-Exemple\n1 place de la Mairie\n12345 Saint-Exemple\n"
            )
        );
        assert_eq!(reference::find(&receipt.subject).unwrap().to_string(), reference);
        assert_eq!(reference::find(&receipt.body).unwrap().to_string(), reference);
    }

    #[test]
    fn what_is_not_known_leaves_no_hole() {
        let zone = Zone::named("Europe/Paris").unwrap();
        let receipt = email(&Inputs {
            organisation: "Mairie\r\nBcc: x@example.fr",
            reference: "2026-0000001-0",
            received_at: 0,
            zone: &zone,
            telephone: None,
            postal: Some(" \n"),
        });
        assert!(receipt.subject.ends_with("enregistrée - Mairie Bcc: x@example.fr"));
        assert!(receipt.body.contains("le 1er janvier 1970 à 1 h 00."));
        assert!(receipt.body.ends_with("à votre demande.\n\nMairie Bcc: x@example.fr\n"));
        for hole in ["{", "}", "None", "\n\n\n", "  "] {
            assert!(!receipt.body.contains(hole), "{hole:?}");
        }
    }
}
