//! What programs send: notifications, reports, answers, lists, invitations.

use super::letter::{Letter, Without, multipart, part};
use super::mail::{Kind, Mail, TO};

/// A notification of failure for a mail that is not ours (RFC 3464). It opens nothing.
pub(super) fn bounce(mut letter: Letter) -> Mail {
    let failed = letter.address.clone();
    let said = part(
        "text/plain; charset=utf-8",
        "8bit",
        "Votre message n’a pas pu être remis.\r\nThis is the mail system at host mx.example.org.\r\n",
    );
    let status = format!(
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; {failed}\r\n\
         Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\r\n"
    );
    let returned = format!(
        "Content-Type: text/rfc822-headers\r\n\r\nFrom: {TO}\r\nTo: {failed}\r\nSubject: Info\r\nMessage-ID: <elsewhere.{}@example.fr>\r\n",
        letter.number
    );
    let boundary = letter.boundary("report");
    let report = multipart(
        "report; report-type=delivery-status",
        &boundary,
        &[said, status.into_bytes(), returned.into_bytes()],
    );
    let head = format!(
        "Return-Path: <>\r\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\nTo: {TO}\r\nSubject: Undelivered Mail Returned to \
         Sender\r\nAuto-Submitted: auto-replied\r\nDate: {}\r\nMessage-ID: <{}>\r\nMIME-Version: 1.0\r\n",
        letter.date, letter.id
    );
    nothing(&letter, Kind::Bounce, [head.into_bytes(), report].concat())
}

/// A provider says that somebody has called a mail unwanted (RFC 5965). It opens nothing.
pub(super) fn complaint(mut letter: Letter) -> Mail {
    let said = part("text/plain; charset=us-ascii", "7bit", "This is an email abuse report.\r\n");
    let feedback =
        b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: Provider/1.0\r\nVersion: 1\r\n".to_vec();
    let returned = format!(
        "Content-Type: message/rfc822\r\n\r\nFrom: {TO}\r\nTo: {}\r\nSubject: Info\r\nMessage-ID: <elsewhere.{}@example.fr>\r\n\r\nInfo.\r\n",
        letter.address, letter.number
    );
    let boundary = letter.boundary("report");
    let report = multipart(
        "report; report-type=feedback-report",
        &boundary,
        &[said, feedback, returned.into_bytes()],
    );
    let head = format!(
        "From: <abuse@provider.example.org>\r\nTo: {TO}\r\nSubject: FW: Info\r\nDate: {}\r\nMessage-ID: <{}>\r\nMIME-Version: 1.0\r\n",
        letter.date, letter.id
    );
    nothing(&letter, Kind::Complaint, [head.into_bytes(), report].concat())
}

/// Somebody is away. It is a request that nobody answers.
pub(super) fn auto_reply(mut letter: Letter) -> Mail {
    let field = match letter.number % 3 {
        0 => "Auto-Submitted: auto-replied (vacation)\r\n",
        1 => "X-Auto-Response-Suppress: All\r\n",
        _ => "Precedence: junk\r\n",
    };
    program(&mut letter, Kind::AutoReply, field)
}

/// A mailing list (RFC 2369, RFC 2919).
pub(super) fn list(mut letter: Letter) -> Mail {
    let field = match letter.number % 3 {
        0 => "List-Id: Lettre des maires <lettre.example.org>\r\nPrecedence: list\r\n",
        1 => "List-Unsubscribe: <mailto:stop@example.org>\r\n",
        _ => "Precedence: bulk\r\n",
    };
    program(&mut letter, Kind::List, field)
}

/// An invitation (RFC 6047), from a person.
pub(super) fn calendar(mut letter: Letter) -> Mail {
    let event = format!(
        "BEGIN:VCALENDAR\r\nPRODID:-//Example//FR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:{}\r\nDTSTAMP:20261124T080000Z\r\n\
         DTSTART:20261201T130000Z\r\nDTEND:20261201T140000Z\r\nSUMMARY:Réunion de quartier\r\nLOCATION:Salle des fêtes\r\n\
         ORGANIZER;CN={}:mailto:{}\r\nATTENDEE:mailto:{TO}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        letter.id, letter.name, letter.address
    );
    let text = letter.text_part();
    let invitation = part("text/calendar; charset=utf-8; method=REQUEST", "8bit", &event);
    let boundary = letter.boundary("alternative");
    let bytes = [
        letter.head(Without::Nothing),
        multipart("alternative", &boundary, &[text, invitation]),
    ]
    .concat();
    letter.mail(Kind::Calendar, bytes)
}

fn program(letter: &mut Letter, kind: Kind, fields: &str) -> Mail {
    let bytes = [letter.head(Without::Nothing), fields.as_bytes().to_vec(), letter.body()].concat();
    let mut mail = letter.mail(kind, bytes);
    mail.expected.acknowledged = false;
    mail.expected.automatic = true;
    mail
}

fn nothing(letter: &Letter, kind: Kind, bytes: Vec<u8>) -> Mail {
    let mut mail = letter.mail(kind, bytes);
    mail.expected.thread = None;
    mail.expected.acknowledged = false;
    mail.expected.automatic = true;
    mail.expected.sender = None;
    mail.expected.subject = None;
    mail.expected.contains = None;
    mail
}
