//! What a mailbox and a folder of documents do alike: search them, and make a contact one of paper.

use bytes::Bytes;
use voxea_core::base::account::Account;
use voxea_core::base::count::Counters;
use voxea_core::contact::{Contact, Flag, Joining};

use super::helper;

/// Documents of one contact that are searched, at most.
const DOCUMENTS: usize = 5;

/// What came of searching the documents of a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Searched {
    /// Of the first document that shows any.
    pub(super) references: Vec<String>,
    /// Why one of them was not searched, or not to its end.
    pub(super) unsearched: Option<String>,
    /// One of them could not be read at all.
    pub(super) failed: bool,
}

/// Searches documents one after the other until one shows a reference, and counts what came of it.
pub(super) async fn search(documents: &[Bytes], account: &Account, counters: &Counters) -> Searched {
    let mut searched = Searched::default();
    for (index, document) in documents.iter().enumerate() {
        if index == DOCUMENTS {
            searched
                .unsearched
                .get_or_insert_with(|| "there are more documents than are searched".to_owned());
            break;
        }
        match helper::search(document.clone()).await {
            Ok(finding) if !finding.references.is_empty() => {
                counters.add(account, "document_code", 1);
                searched.references = finding.references;
                (searched.unsearched, searched.failed) = (None, false);
                return searched;
            }
            Ok(finding) => {
                counters.add(account, "document_plain", 1);
                if finding.passed > 0 {
                    searched
                        .unsearched
                        .get_or_insert_with(|| "not all of its pages were searched".to_owned());
                } else if finding.pages == 0 {
                    searched.unsearched.get_or_insert_with(|| "its pages hold no image".to_owned());
                }
            }
            Err(failure) => {
                counters.add(account, "document_unsearched", 1);
                if let helper::Failure::Unavailable(words) = &failure {
                    tracing::error!(account = %account, %words, "documents are taken in without looking for codes");
                }
                searched.unsearched.get_or_insert(failure.to_string());
                searched.failed = true;
            }
        }
    }
    searched
}

/// Makes a contact join the request of its code, or open one that somebody must qualify.
pub(super) fn place(contact: &mut Contact, searched: &Searched) {
    contact.to_qualify = true;
    contact.acknowledgement = None;
    contact.joining = Joining::Document {
        references: searched.references.clone(),
    };
    if searched.unsearched.is_some() {
        contact.flags.push(Flag::Unsearched);
    }
}
