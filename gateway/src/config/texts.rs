//! What the binds answer by themselves, together: whose number it is, and who sends where a bind only receives.

use voxea_core::base::account::{Account, Kind};
use voxea_core::base::settings::{Problem, Section, Written};
use voxea_core::contact::AutomaticTexts;
use voxea_rules::notice::Inputs;

use super::store::Organisation;

/// One bind.
#[derive(Debug)]
struct Bind {
    account: Account,
    texts: AutomaticTexts,
    number: Option<Written>,
    acknowledge: Option<Written>,
}

/// What was read of all `[[smpp]]`.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<Bind>);

impl Texts {
    /// Reads what a `[[smpp]]` answers by itself.
    pub(super) fn read(&mut self, section: &Section<'_>, smpp: &voxea_smpp::Config, organisation: &Organisation) {
        let inputs = Inputs {
            organisation: &organisation.name,
            telephone: organisation.phone.as_deref(),
        };
        let sends = smpp.sender().map(|sender| sender.account);
        let mut texts = voxea_smpp::automatic(section, &inputs, sends, &smpp.number.number);
        texts.ours.extend(organisation.phone.clone());
        let account = Account::new(Kind::Smpp, &smpp.name);
        let (number, acknowledge) = (section.written("number"), section.placed("acknowledge"));
        self.0.push(Bind {
            account,
            texts,
            number,
            acknowledge: acknowledge.filter(|_| section.bool_or("acknowledge", false)),
        });
    }

    /// A bind that only receives answers by another one of the same number. Returns what each answers, and what is hardly
    /// meant so.
    pub(super) fn settle(self, organisation: &Organisation) -> (Vec<(Account, AutomaticTexts)>, Vec<Problem>) {
        let mut hints = Vec::new();
        let senders: Vec<(String, Account)> = self
            .0
            .iter()
            .filter_map(|bind| Some((bind.texts.from.clone(), bind.texts.sender.clone()?)))
            .collect();
        let mut settled = Vec::new();
        for mut bind in self.0 {
            if bind.texts.sender.is_none() {
                let same = senders.iter().find(|(number, _)| *number == bind.texts.from);
                bind.texts.sender = same.map(|(_, account)| account.clone());
                if let Some(acknowledge) = bind.acknowledge.filter(|_| bind.texts.sender.is_none()) {
                    hints.push(acknowledge.warning(
                        "is true, but this bind only receives and no other one sends from its number: nothing is acknowledged; bind = \"transceiver\", or add one that transmits",
                    ));
                }
            }
            let answers = bind.texts.commands.is_some() && bind.texts.sender.is_some();
            if let Some(number) = bind.number
                && answers
                && organisation.phone.is_none()
            {
                hints.push(number.warning(
                    "is answered to CONTACT without a telephone number; write phone = \"01 40 20 50 50\" into [organisation], or contact_text here",
                ));
            }
            settled.push((bind.account, bind.texts));
        }
        (settled, hints)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use voxea_core::base::settings::{Problems, parse};

    const BIND: &str = "address = \"127.0.0.1:2775\"\nsystem_id = \"voxea\"\npassword = \"x\"\n";

    /// What is answered, and what is said, of these binds; each has the lines of [`BIND`] too.
    fn read(organisation: &str, binds: &[&str]) -> (Vec<(Account, AutomaticTexts)>, Vec<String>) {
        let lists: String = binds.iter().map(|bind| format!("[[smpp]]\n{bind}{BIND}")).collect();
        let node = parse(&format!("[organisation]\n{organisation}{lists}")).unwrap();
        let problems = Problems::new();
        let root = Section::root(&node, Path::new("/nowhere"), &problems);
        let organisation = Organisation::read(root.sub("organisation").as_ref());
        let mut texts = Texts::default();
        for mut section in root.list("smpp") {
            let smpp = voxea_smpp::Config::read(&mut section);
            texts.read(&section, &smpp, &organisation);
        }
        drop(root);
        let (settled, hints) = texts.settle(&organisation);
        let said = problems.into_sorted().into_iter().chain(hints);
        (settled, said.map(|problem| problem.to_string()).collect())
    }

    #[test]
    fn a_bind_that_only_receives_answers_by_another_one() {
        let (receives, sends) = (
            "name = \"in\"\nnumber = \"36123\"\nbind = \"receiver\"\nacknowledge = true\n",
            "name = \"out\"\nnumber = \"36123\"\nbind = \"transmitter\"\n",
        );
        let phone = "phone = \"01 40 20 50 50\"\n";
        let (texts, said) = read(phone, &[receives, sends]);
        assert_eq!(said, [""; 0]);
        assert_eq!(texts[0].1.sender, Some(Account::new(Kind::Smpp, "out")));
        assert_eq!(texts[0].1.ours, ["01 40 20 50 50"]);
        let (texts, said) = read(phone, &[receives]);
        assert!(texts[0].1.sender.is_none() && said.len() == 1, "{said:?}");
        assert!(
            said[0].starts_with("warning: line 7: smpp[0].acknowledge: is true, but"),
            "{said:?}"
        );
    }

    #[test]
    fn what_contact_and_operators_need_is_said() {
        let bind = |number: &str| format!("name = \"a\"\nnumber = \"{number}\"\n");
        let (_, said) = read("", &[&bind("36123")]);
        assert!(
            said.len() == 1 && said[0].contains("CONTACT") && said[0].contains("[organisation]"),
            "{said:?}"
        );
        let phone = "phone = \"01 40 20 50 50\"\n";
        assert_eq!(read(phone, &[&bind("36123")]).1, [""; 0]);
        let (_, said) = read(phone, &[&bind("+33612345678")]);
        assert!(
            said.len() == 1 && said[0].starts_with("line 5: smpp[0].number: ") && said[0].contains("0937"),
            "{said:?}"
        );
        let (_, said) = read("phone = \"mairie\"\n", &[]);
        assert!(said.len() == 1 && said[0].starts_with("line 2: organisation.phone: "), "{said:?}");
    }
}
