//! The requests of a keeper.

use super::Keeper;
use super::errand::Task;
use super::settings::bracketed;
use crate::dialog::local_contact;
use crate::endpoint::Ask;
use crate::flow::{Flow, Transport};
use crate::wire::addr::NameAddr;
use crate::wire::method::Method;
use crate::wire::uri::Uri;

impl Keeper {
    /// The next request of a task, with credentials as soon as the peer has asked for them once.
    pub(super) fn compose(&mut self, task: Task, flow: Flow) -> Ask {
        let host = bracketed(&self.settings.host);
        let port = if self.settings.port == flow.transport.default_port() {
            String::new()
        } else {
            format!(":{}", self.settings.port)
        };
        let transport = match flow.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={other}"),
        };
        let uri = format!("sip:{host}{port}{transport}");
        let cnonce = self.ids.token();
        let user = self.settings.login.as_ref().map(|login| escaped(login.user()));
        let expires = if self.closing { 0 } else { self.expires };
        let errand = self.errand_mut(task);
        errand.cseq += 1;
        let (number, tag, call_id) = (errand.cseq, errand.tag.clone(), errand.call_id.clone());
        let account = user.map(|user| format!("<sip:{user}@{host}>"));
        let (from, to) = match (task, account) {
            (Task::Register, Some(account)) => (account.clone(), account),
            (Task::Options, Some(account)) => (account, format!("<{uri}>")),
            (_, None) => (format!("<sip:{}>", flow.local), format!("<{uri}>")),
        };
        let mut headers = vec![
            ("From", format!("{from};tag={tag}")),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", format!("{number} {}", task.as_str())),
            ("Contact", self.contact(flow)),
        ];
        let method = match task {
            Task::Options => {
                headers.push(("Accept", "application/sdp".to_owned()));
                Method::OPTIONS
            }
            Task::Register => {
                headers.push(("Expires", expires.to_string()));
                Method::REGISTER
            }
        };
        let login = self.settings.login.as_mut();
        headers.extend(login.and_then(|login| login.authorization(task.as_str(), &uri, &cnonce)));
        Ask { method, uri, headers }
    }

    /// Where calls to our account shall come in.
    fn contact(&self, flow: Flow) -> String {
        let plain = local_contact(flow, false);
        match (&self.settings.login, plain.split_once(':')) {
            (Some(login), Some((scheme, rest))) => format!("{scheme}:{}@{rest}", escaped(login.user())),
            _ => plain,
        }
    }

    /// Whether a Contact of a registrar is ours.
    pub(super) fn is_ours(&self, contact: &NameAddr, flow: Flow) -> bool {
        let ours = NameAddr::parse(&self.contact(flow));
        let place = |uri: &Uri| {
            uri.sip()
                .map(|sip| (sip.user.clone(), sip.host.to_ascii_lowercase(), sip.port.unwrap_or(5060)))
        };
        ours.is_some_and(|ours| place(&ours.uri) == place(&contact.uri))
    }
}

/// A user part: what is not allowed there becomes `%40` (RFC 3261 §19.1.2, §25.1).
fn escaped(user: &str) -> String {
    user.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' | b'&' | b'=' | b'+' | b'$' | b',' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_users_as_uris_write_them() {
        assert_eq!((bracketed("::1").as_str(), bracketed("pbx").as_str()), ("[::1]", "pbx"));
        assert_eq!(escaped("mairie@é;1"), "mairie%40%C3%A9%3B1");
        let uri = Uri::parse(&format!("sip:{}@h", escaped("a@b;c/d?e"))).unwrap();
        assert_eq!(uri.sip().and_then(|sip| sip.user.clone()).as_deref(), Some("a@b;c/d?e"));
    }
}
