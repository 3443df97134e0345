//! Pure rules that the core and the channels share.
//!
//! Nothing here opens a file, reads a clock, logs or waits: every function is a plain
//! function of its arguments, so that each rule can be checked by a table of examples.
//!
//! | module | the rule |
//! |---|---|
//! | [`gsm7`] | the 7-bit alphabet of 3GPP TS 23.038 and its national tables, packed and unpacked |
//! | [`charset`] | the other two alphabets of a text message: Latin-1 and UCS-2 |
//! | [`udh`] | the header in front of a part of a long text |
//! | [`sms`] | what a text costs, what is refused, and how a long one is split: the 160 rule |
//! | [`notice`] | answers by text of one segment, with the reference: what gives way is the body's name |
//! | [`command`] | STOP, CONTACT and AIDE |
//! | [`sender`] | the numbers and names a French body may text from |
//! | [`answerable`] | whom an answer may be sent to that nobody asked for |
//! | [`typography`] | which marks a text message can do without, and letters without accents |
//! | [`phone`] | one spelling for each telephone number |
//! | [`postal`] | one spelling for each postal address, for comparison |
//! | [`mod@reference`] | `2026-0001234-7`: the number that a citizen reads out |
//! | [`reply_token`] | how the proof of a request is spelt in an address |
//! | [`keyword`] | the first word of a text, folded |
//! | [`mail_domain`] | domains of mail addresses beyond ASCII |
//! | [`moment`] | dates and times as citizens read them |
//! | [`calendar`] | opening hours, public holidays, working time |
//! | [`receipt`] | the French acknowledgement by e-mail |
//! | [`password`] | what makes a password good enough |
//! | [`redact`] | personal data as it may stand in a log |
//! | [`network`] | ranges of addresses, as a configuration names who may connect |
//! | [`cursor`] | places in lists and in the feed, as clients hand them back |
//! | [`filter`] | lists and patterns of names in a query |
//! | [`mod@xml`] | XML of strangers, bounded and without entities |
//! | [`visible`] | what a name must not have, because nobody sees it |

pub mod answerable;
pub mod calendar;
pub mod charset;
pub mod command;
pub mod cursor;
pub mod filter;
pub mod gsm7;
pub mod keyword;
pub mod mail_domain;
pub mod moment;
pub mod network;
pub mod notice;
pub mod password;
pub mod phone;
pub mod postal;
pub mod receipt;
pub mod redact;
pub mod reference;
pub mod reply_token;
pub mod sender;
pub mod sms;
pub mod typography;
pub mod udh;
pub mod visible;
pub mod xml;
