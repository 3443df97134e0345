//! The 160 rule on what town halls and citizens really write.
//!
//! The figures were counted apart from the code, from the alphabet as the standard prints it.

use voxea_rules::sms::Coding::{Gsm7, Ucs2};
use voxea_rules::sms::{Coding, check_reply, fits_one_segment, preview};

/// Text as written, its alphabet, its units, and what is proposed instead.
const SENTENCES: &[(&str, Coding, usize, Option<&str>)] = &[
    ("Bonjour, votre demande est bien enregistrée.", Gsm7, 44, None),
    ("Votre demande a été reçue", Ucs2, 25, Some("Votre demande a été recue")),
    (
        "Votre demande a été reçue le 24 novembre.",
        Ucs2,
        41,
        Some("Votre demande a été recue le 24 novembre."),
    ),
    ("Nous vous répondrons dès que possible.", Gsm7, 38, None),
    ("L’éclairage de la rue Foch est réparé.", Gsm7, 38, None),
    ("La mairie est fermée le lundi.", Gsm7, 30, None),
    ("La déchèterie ouvre à 9 h.", Gsm7, 26, None),
    (
        "Le conseil municipal se réunit à l’hôtel de ville.",
        Ucs2,
        50,
        Some("Le conseil municipal se réunit à l'hotel de ville."),
    ),
    ("Merci de rappeler au 01 40 20 50 50.", Gsm7, 36, None),
    (
        "Votre carte d’identité est prête.",
        Ucs2,
        33,
        Some("Votre carte d'identité est prete."),
    ),
    ("Vous êtes attendu à 14 h 05.", Ucs2, 28, Some("Vous etes attendu à 14 h 05.")),
    ("Le service état civil vous attend.", Gsm7, 34, None),
    ("Votre dossier est incomplet : il manque une pièce.", Gsm7, 50, None),
    ("Votre dossier est complet, merci.", Gsm7, 33, None),
    ("Pièces à fournir : justificatif de domicile, photo d’identité.", Gsm7, 62, None),
    ("À bientôt !", Ucs2, 11, Some("A bientot !")),
    (
        "À partir du 1er janvier, les horaires changent.",
        Ucs2,
        47,
        Some("A partir du 1er janvier, les horaires changent."),
    ),
    ("État civil : munissez-vous d’une pièce d’identité.", Gsm7, 50, None),
    ("École fermée demain : grève.", Gsm7, 28, None),
    ("ÉCOLE FERMÉE DEMAIN", Gsm7, 19, None),
    ("GARÇON OU FILLE : ÉCRIVEZ AU SERVICE FRANÇAIS", Gsm7, 45, None),
    (
        "Le garçon a perdu son bonnet à la crèche.",
        Ucs2,
        41,
        Some("Le garcon a perdu son bonnet à la crèche."),
    ),
    (
        "Ça va être réparé cette semaine.",
        Ucs2,
        32,
        Some("Ça va etre réparé cette semaine."),
    ),
    ("Où se trouve le nid-de-poule ?", Gsm7, 30, None),
    ("Le nid-de-poule a été rebouché ce matin.", Gsm7, 40, None),
    (
        "Un cœur de ville plus vert : donnez votre avis.",
        Ucs2,
        47,
        Some("Un coeur de ville plus vert : donnez votre avis."),
    ),
    (
        "Les œuvres sociales de la mairie",
        Ucs2,
        32,
        Some("Les oeuvres sociales de la mairie"),
    ),
    (
        "La sœur de Noël habite à Saint-Exemple.",
        Ucs2,
        39,
        Some("La soeur de Noel habite à Saint-Exemple."),
    ),
    ("Maïs, naïf, haïr, ambiguïté", Ucs2, 27, Some("Mais, naif, hair, ambiguité")),
    ("Aiguë, Noël, Citroën", Ucs2, 20, Some("Aigue, Noel, Citroen")),
    ("Tarif : 12,50 € par mois", Gsm7, 25, None),
    ("Coût : 35 € [tarif réduit]", Ucs2, 26, Some("Cout : 35 € [tarif réduit]")),
    ("Payez en ligne : https://exemple.fr/~paiement", Gsm7, 46, None),
    ("Écrivez à mairie@exemple.fr", Gsm7, 27, None),
    ("Votre réf. : 2026-0001234-7", Gsm7, 27, None),
    ("Répondez OUI ou NON.", Gsm7, 20, None),
    ("Répondez 1 {oui} ou 2 {non}", Gsm7, 31, None),
    (
        "« Fête de la musique » : rues fermées",
        Ucs2,
        37,
        Some("\" Fete de la musique \" : rues fermées"),
    ),
    ("“Portes ouvertes” samedi", Gsm7, 24, None),
    ("Horaires : 9 h – 12 h — fermé l’après-midi", Gsm7, 42, None),
    ("Patientez…", Gsm7, 12, None),
    (
        "Stationnement interdit du 3 au 5 août.",
        Ucs2,
        38,
        Some("Stationnement interdit du 3 au 5 aout."),
    ),
    (
        "Août : la bibliothèque est fermée.",
        Ucs2,
        34,
        Some("Aout : la bibliothèque est fermée."),
    ),
    (
        "La bibliothèque prolonge votre prêt.",
        Ucs2,
        36,
        Some("La bibliothèque prolonge votre pret."),
    ),
    ("Collecte des encombrants : mardi", Gsm7, 32, None),
    ("Votre encombrant sera enlevé mardi à 7 h.", Gsm7, 41, None),
    ("Alerte météo : vigilance orange, restez chez vous.", Gsm7, 50, None),
    ("Alerte crue : évitez les quais.", Gsm7, 31, None),
    ("Coupure d’eau de 8 h à 12 h, rue des Lilas.", Gsm7, 43, None),
    ("L’eau est à nouveau potable.", Gsm7, 28, None),
    (
        "Le chêne de la place sera abattu.",
        Ucs2,
        33,
        Some("Le chene de la place sera abattu."),
    ),
    (
        "Vaccination : 2e dose à l’hôpital",
        Ucs2,
        33,
        Some("Vaccination : 2e dose à l'hopital"),
    ),
    ("Votre place en crèche est acceptée.", Gsm7, 35, None),
    ("Votre inscription à la cantine est validée.", Gsm7, 43, None),
    (
        "Impôts locaux : permanence jeudi.",
        Ucs2,
        33,
        Some("Impots locaux : permanence jeudi."),
    ),
    ("Dîner des aînés le 12 décembre.", Ucs2, 31, Some("Diner des ainés le 12 décembre.")),
    (
        "Le maître d’œuvre passera demain.",
        Ucs2,
        33,
        Some("Le maitre d'oeuvre passera demain."),
    ),
    ("Aîné, île, gîte, épître", Ucs2, 23, Some("Ainé, ile, gite, épitre")),
    ("Dû, sûr, mûr, goût", Ucs2, 18, Some("Du, sur, mur, gout")),
    ("Côte, hôte, tôt, Rhône", Ucs2, 22, Some("Cote, hote, tot, Rhone")),
    ("Tâche, âge, pâte, château", Ucs2, 25, Some("Tache, age, pate, chateau")),
    ("Français, façade, leçon, reçu", Ucs2, 29, Some("Francais, facade, lecon, recu")),
    ("Dossier n° 1234 transmis", Ucs2, 24, Some("Dossier no 1234 transmis")),
    ("10 000 € de travaux", Gsm7, 20, None),
    ("Merci 👍", Ucs2, 8, Some("Merci")),
    ("Merci 😀 à demain !", Ucs2, 19, Some("Merci à demain !")),
    ("L’élu·e vous recevra.", Ucs2, 21, Some("L'élu.e vous recevra.")),
    ("L’Haÿ-les-Roses", Ucs2, 15, Some("L'Hay-les-Roses")),
    ("¿Habla español? Ñandú", Ucs2, 21, Some("¿Habla español? Ñandu")),
    ("Straße, Größe, Ärger", Gsm7, 20, None),
    ("Спасибо", Ucs2, 7, None),
    ("شكرا", Ucs2, 4, None),
    ("Αθήνα", Ucs2, 5, None),
    ("ΑΘΗΝΑ", Ucs2, 5, None),
    ("ΔΦΓΛΩ", Gsm7, 5, None),
    ("1er étage, porte B\\2 | sonnez", Gsm7, 31, None),
];

#[test]
fn each_sentence_costs_what_the_standard_says() {
    assert!(SENTENCES.len() >= 60);
    for &(text, coding, units, suggestion) in SENTENCES {
        let preview = preview(text);
        assert_eq!((preview.coding, preview.units), (coding, units), "{text:?}");
        assert_eq!(preview.limit, if coding == Gsm7 { 160 } else { 70 });
        assert_eq!(preview.segments, 1, "{text:?}");
        assert_eq!(preview.suggestion.as_deref(), suggestion, "{text:?}");
        assert_eq!(preview.offending.is_empty(), coding == Gsm7, "{text:?}");
        for offending in &preview.offending {
            assert_eq!(text.chars().nth(offending.index), Some(offending.char), "{text:?}");
        }
        assert!(fits_one_segment(text));
        let encoded = check_reply(text).expect("it fits");
        assert_eq!(encoded.coding, coding);
        assert_eq!(encoded.bytes.len(), units * if coding == Gsm7 { 1 } else { 2 });
    }
}

#[test]
fn a_sentence_repeated_is_refused_at_the_very_unit() {
    for &(text, coding, units, _) in SENTENCES {
        let fitting = coding.limit() / units;
        assert!(check_reply(&text.repeat(fitting)).is_ok(), "{text:?}");
        let refused = check_reply(&text.repeat(fitting + 1)).expect_err("too long").preview;
        assert_eq!(refused.units, units * (fitting + 1), "{text:?}");
        assert!(refused.segments > 1, "{text:?}");
    }
}

#[test]
fn one_cedilla_more_than_halves_the_room() {
    let plain = "Votre demande est enregistrée. ".repeat(5);
    assert!(check_reply(&plain).is_ok());
    let refused = check_reply(&plain.replacen("est", "a été reçue et", 1)).expect_err("UCS-2").preview;
    assert_eq!((refused.coding, refused.limit, refused.segments), (Ucs2, 70, 3));
    assert_eq!(refused.offending.len(), 1);
    let proposed = refused.suggestion;
    assert_eq!(proposed, None, "161 septets and more are no proposal");
    let refused = check_reply(&plain.replacen("est", "reçue", 1)).expect_err("UCS-2").preview;
    assert_eq!(refused.suggestion, Some(plain.replacen("est", "recue", 1)));
}

#[test]
fn members_are_spelled_as_the_interface_says() {
    assert_eq!(
        serde_json::to_value(preview("« reçu »")).expect("JSON"),
        serde_json::json!({
            "coding": "ucs2",
            "units": 8,
            "limit": 70,
            "segments": 1,
            "offending": [{ "char": "ç", "index": 4 }],
            "suggestion": "\" recu \"",
        })
    );
    assert_eq!(
        serde_json::to_value(preview("oui")).expect("JSON"),
        serde_json::json!({
            "coding": "gsm7",
            "units": 3,
            "limit": 160,
            "segments": 1,
            "offending": [],
            "suggestion": null,
        })
    );
}
