//! What the binds answer by themselves, together: whose number it is, and who sends where a bind only receives.

use voxea_core::base::account::{Account, Kind};
use voxea_core::base::settings::{Problem, Section, Written};
use voxea_core::contact::AutomaticTexts;
use voxea_rules::notice::Inputs;
use voxea_rules::sender::SenderId;

use super::store::Organisation;

/// By whose rules a number of ours is judged.
const COUNTRY: &str = "FR";

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
            if let Some(number) = bind.number {
                if let Err(error) = SenderId::new(&number.text, COUNTRY) {
                    hints.push(number.warning(format!("{:?} may be refused by French operators: it {error}", number.text)));
                }
                if answers && organisation.phone.is_none() {
                    hints.push(number.warning(
                        "is answered to CONTACT without a telephone number; write phone = \"01 40 20 50 50\" into [organisation], or contact_text here",
                    ));
                }
            }
            settled.push((bind.account, bind.texts));
        }
        (settled, hints)
    }
}
