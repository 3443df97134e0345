//! A caller of our own: a small client of RFC 3261 with its own transactions and timers, which shares no line with the
//! machine under test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::chance::{Deed, Offer, Plan};
use super::network::{branch, cseq};
use crate::bench::OFFER;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);

/// A request of its own that waits for a final answer.
struct Client {
    method: String,
    text: String,
    began: Duration,
    next: Duration,
    pause: Duration,
    provisional: bool,
    answered: bool,
}

/// What it will do by itself.
enum Intent {
    Invite,
    Cancel,
    Copy,
    Do(Deed),
    Bye,
    Vanish,
}

pub(crate) struct Caller {
    number: usize,
    pub(crate) plan: Plan,
    contact: u16,
    cseq: u32,
    count: u32,
    clients: BTreeMap<String, Client>,
    intents: Vec<(Duration, Intent)>,
    /// Our tag, once a 200 came.
    peer: Option<String>,
    over: bool,
    gone: bool,
    /// ACKs by CSeq, to be repeated for each repetition of a 2xx.
    acks: BTreeMap<u32, String>,
    /// What it answered, by branch and method.
    served: BTreeMap<String, String>,
    /// Reliable provisional answers that were confirmed.
    early: BTreeSet<String>,
    out: Vec<String>,
    /// Requests that got no final answer in time.
    pub(crate) unanswered: Vec<String>,
    /// What some requests may be answered with, by their branch.
    may: BTreeMap<String, &'static [u16]>,
    /// Answers that may not be.
    pub(crate) wrong: Vec<String>,
}

impl Caller {
    pub(crate) fn new(number: usize, plan: Plan) -> Self {
        let intents = vec![(plan.begin, Intent::Invite)];
        Self {
            number,
            contact: 10_000 + number as u16,
            plan,
            cseq: 0,
            count: 0,
            clients: BTreeMap::new(),
            intents,
            peer: None,
            over: false,
            gone: false,
            acks: BTreeMap::new(),
            served: BTreeMap::new(),
            early: BTreeSet::new(),
            out: Vec::new(),
            unanswered: Vec::new(),
            may: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        10_000 + self.number as u16
    }

    /// When it wants to be woken.
    pub(crate) fn next(&self) -> Option<Duration> {
        if self.gone {
            return None;
        }
        let waits = self.clients.values().filter(|client| !client.answered).map(|client| client.next);
        waits.chain(self.intents.iter().map(|(at, _)| *at)).min()
    }

    /// What it says now.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let said = std::mem::take(&mut self.out);
        if self.gone { Vec::new() } else { said }
    }

    pub(crate) fn wake(&mut self, now: Duration) {
        let mut due = Vec::new();
        while let Some(index) = self.intents.iter().position(|(at, _)| *at <= now) {
            due.push(self.intents.remove(index).1);
        }
        for intent in due {
            self.act(intent, now);
        }
        let branches: Vec<String> = self.clients.keys().cloned().collect();
        for branch in branches {
            self.repeat(&branch, now);
        }
    }

    /// Timers A, B, E and F.
    fn repeat(&mut self, branch: &str, now: Duration) {
        let (tcp, impatient) = (self.plan.tcp, self.plan.impatient);
        let Some(client) = self.clients.get_mut(branch) else { return };
        if client.answered || client.next > now {
            return;
        }
        let invite = client.method == "INVITE";
        // A caller waits for the answer to a ringing call as long as it likes; this one longer than any announcement.
        let patience = if invite && client.provisional { GIVE_UP * 7 } else { GIVE_UP };
        if now >= client.began + patience {
            let client = self.clients.remove(branch);
            self.unanswered.extend(client.map(|client| client.text));
            return;
        }
        client.pause = match (invite, client.provisional) {
            (true, _) => client.pause * 2,
            (false, true) => T2,
            (false, false) => (client.pause * 2).min(T2),
        };
        if tcp || invite && client.provisional {
            client.next = client.began + patience;
            return;
        }
        let pause = if impatient { client.pause / 5 } else { client.pause };
        client.next = (now + pause).min(client.began + patience);
        self.out.push(client.text.clone());
    }

    fn act(&mut self, intent: Intent, now: Duration) {
        match intent {
            Intent::Invite => {
                self.invite(now);
                let plan = &self.plan;
                let later = [
                    (plan.cancel, Intent::Cancel),
                    (plan.merged, Intent::Copy),
                    (plan.vanish, Intent::Vanish),
                ];
                self.intents
                    .extend(later.into_iter().filter_map(|(after, intent)| Some((now + after?, intent))));
            }
            Intent::Cancel => {
                // RFC 3261 §9.1: only after a provisional answer, and not after a final one.
                let waits = |client: &Client| client.method == "INVITE" && client.provisional && !client.answered;
                let found = self.clients.iter().find(|(_, client)| waits(client));
                if let Some((branch, client)) = found {
                    let (branch, number) = (branch.clone(), cseq(&client.text));
                    self.request("CANCEL", number, &branch, "", "", now);
                }
            }
            Intent::Copy => {
                let found = self.clients.values().find(|client| client.method == "INVITE" && !client.answered);
                if let Some(text) = found.map(|client| client.text.clone()) {
                    let (old, new) = (branch(&text), self.branch());
                    self.begin("INVITE", &new, text.replace(&old, &new), now);
                }
            }
            Intent::Do(deed) if !self.over => self.perform(deed, now),
            Intent::Bye if !self.over => {
                self.over = true;
                self.next_request("BYE", "", "", now);
            }
            Intent::Do(_) | Intent::Bye => {}
            Intent::Vanish => self.gone = true,
        }
    }

    fn invite(&mut self, now: Duration) {
        let (kind, body) = match self.plan.offer {
            Offer::InInvite => ("application/sdp", OFFER.to_owned()),
            Offer::InAck | Offer::Nowhere => ("", String::new()),
            Offer::Useless => ("application/sdp", OFFER.replace("8 0 101", "18")),
            Offer::Text => ("text/plain", "hello".to_owned()),
        };
        let extra = self.plan.extra.clone();
        self.next_request("INVITE", &format!("{extra}{}", content(kind)), &body, now);
    }

    fn perform(&mut self, deed: Deed, now: Duration) {
        let sdp = content("application/sdp");
        match deed {
            Deed::Hold => self.next_request("INVITE", &sdp, &format!("{OFFER}a=sendonly\r\n"), now),
            Deed::Resume => self.next_request("INVITE", &sdp, OFFER, now),
            Deed::Offerless => self.next_request("INVITE", "", "", now),
            Deed::Useless => self.next_request("INVITE", &sdp, &OFFER.replace("8 0 101", "18"), now),
            Deed::Move => {
                self.contact = 30_000 + self.number as u16;
                self.next_request("INVITE", &sdp, OFFER, now);
            }
            Deed::Glare => {
                self.next_request("INVITE", &sdp, OFFER, now);
                self.next_request("INVITE", "", "", now);
            }
            Deed::Update => self.next_request("UPDATE", "", "", now),
            Deed::UpdateWithOffer => self.next_request("UPDATE", &sdp, OFFER, now),
            Deed::Info => self.next_request("INFO", &content("application/dtmf-relay"), "Signal=5\r\nDuration=100\r\n", now),
            Deed::Options => self.next_request("OPTIONS", "", "", now),
            Deed::Outside => {
                let (peer, branch) = (self.peer.take(), self.branch());
                self.may.insert(branch.clone(), &[200, 503]);
                self.request("OPTIONS", 900 + self.count, &branch, "", "", now);
                self.peer = peer;
            }
            Deed::Old => {
                let branch = self.branch();
                self.may.insert(branch.clone(), &[500, 481, 503]);
                self.request("INFO", 0, &branch, "", "", now);
            }
            Deed::Refer => self.next_request("REFER", "Refer-To: <sip:x@192.0.2.1>\r\n", "", now),
            Deed::Unknown => self.next_request("FROBNICATE", "", "", now),
            Deed::Stray => {
                let peer = self.peer.replace("nobody".to_owned());
                let branch = self.branch();
                self.may.insert(branch.clone(), &[481, 503]);
                self.request("BYE", 800 + self.count, &branch, "", "", now);
                self.peer = peer;
            }
            Deed::LateCancel => {
                let done = self.clients.iter().find(|(_, client)| client.method == "INVITE" && client.answered);
                let found = done.map(|(branch, client)| (branch.clone(), cseq(&client.text)));
                if let Some((branch, number)) = found.filter(|(branch, _)| !self.clients.contains_key(&format!("{branch}C"))) {
                    self.request("CANCEL", number, &branch, "", "", now);
                }
            }
        }
    }

    fn next_request(&mut self, method: &str, extra: &str, body: &str, now: Duration) {
        self.cseq += 1;
        let branch = self.branch();
        self.request(method, self.cseq, &branch, extra, body, now);
    }

    fn branch(&mut self) -> String {
        self.count += 1;
        format!("z9hG4bKc{}x{}x", self.number, self.count)
    }

    fn request(&mut self, method: &str, number: u32, branch: &str, extra: &str, body: &str, now: Duration) {
        let text = self.text(method, number, branch, extra, body);
        self.begin(method, branch, text, now);
    }

    fn begin(&mut self, method: &str, branch: &str, text: String, now: Duration) {
        self.out.push(text.clone());
        let client = Client {
            method: method.to_owned(),
            text,
            began: now,
            next: now + if self.plan.impatient { T1 / 5 } else { T1 },
            pause: T1,
            provisional: false,
            answered: false,
        };
        // A CANCEL has the branch of what it cancels.
        let key = if method == "CANCEL" {
            format!("{branch}C")
        } else {
            branch.to_owned()
        };
        self.clients.insert(key, client);
    }

    fn text(&self, method: &str, number: u32, branch: &str, extra: &str, body: &str) -> String {
        let (id, port, dialled, contact) = (self.number, self.port(), self.plan.dialled, self.contact);
        let transport = if self.plan.tcp { "TCP" } else { "UDP" };
        let to = self.peer.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        format!(
            "{method} sip:{dialled}@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.1:{port};branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:c{id}@192.0.2.1>;tag=f{id}\r\nTo: <sip:{dialled}@192.0.2.10>{to}\r\nCall-ID: life-{id}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:c{id}@192.0.2.1:{contact}>\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Something came.
    pub(crate) fn hears(&mut self, text: &str, now: Duration) {
        if self.gone {
            return;
        }
        match text.strip_prefix("SIP/2.0 ").and_then(|line| line.get(..3)?.parse::<u16>().ok()) {
            Some(status) => self.answered(status, text, now),
            None => self.serve(text),
        }
    }

    fn answered(&mut self, status: u16, text: &str, now: Duration) {
        let (method, key) = (method_of(text), branch(text));
        if status >= 200 && self.may.get(&key).is_some_and(|may| !may.contains(&status)) {
            self.wrong.push(text.to_owned());
        }
        let key = if method == "CANCEL" { format!("{key}C") } else { key };
        if method == "INVITE" && (200..300).contains(&status) {
            if let Some(client) = self.clients.get_mut(&key) {
                client.answered = true;
            }
            return self.confirm(text, now);
        }
        let Some(client) = self.clients.get_mut(&key) else { return };
        if status < 200 {
            client.provisional = true;
            return self.confirm_early(text, now);
        }
        let first = !std::mem::replace(&mut client.answered, true);
        let number = cseq(&client.text);
        if method != "INVITE" {
            return;
        }
        // RFC 3261 §17.1.1.3: same branch, same To as the answer.
        let to = field(text, "To").split("tag=").nth(1).map(str::to_owned);
        let ours = std::mem::replace(&mut self.peer, to);
        let ack = self.text("ACK", number, &key, "", "");
        self.peer = ours;
        self.out.push(ack);
        if first && status == 422 && self.peer.is_none() {
            self.plan.extra = self.plan.extra.replace("Session-Expires: 30", "Session-Expires: 90");
            self.invite(now);
        }
    }

    /// A reliable provisional answer gets its PRACK, once (RFC 3262 §4).
    fn confirm_early(&mut self, text: &str, now: Duration) {
        let (number, tag) = (field(text, "RSeq"), field(text, "To").split("tag=").nth(1).map(str::to_owned));
        if number.is_empty() || self.plan.no_ack || !self.early.insert(format!("{number} {}", cseq(text))) {
            return;
        }
        let ours = std::mem::replace(&mut self.peer, tag);
        let rack = format!("RAck: {number} {} INVITE\r\n", cseq(text));
        let (kind, body) = match self.plan.offer {
            Offer::InAck => (content("application/sdp"), OFFER),
            _ => (String::new(), ""),
        };
        self.next_request("PRACK", &format!("{rack}{kind}"), body, now);
        self.peer = ours;
    }

    /// A 2xx, the first or once more.
    fn confirm(&mut self, text: &str, now: Duration) {
        let number = cseq(text);
        if self.peer.is_none() {
            self.peer = field(text, "To").split("tag=").nth(1).map(str::to_owned);
            let plan = &self.plan;
            self.intents
                .extend(plan.deeds.iter().map(|(after, deed)| (now + *after, Intent::Do(*deed))));
            self.intents.extend(plan.bye.map(|after| (now + after, Intent::Bye)));
        }
        if self.plan.no_ack {
            return;
        }
        if !self.acks.contains_key(&number) {
            let branch = self.branch();
            // The answer to their offer, when ours was in no request.
            let asked = self
                .clients
                .values()
                .any(|client| cseq(&client.text) == number && client.text.contains("m=audio"));
            let ack = match self.plan.offer {
                _ if asked => self.text("ACK", number, &branch, "", ""),
                Offer::Nowhere => self.text("ACK", number, &branch, "", ""),
                _ => self.text("ACK", number, &branch, &content("application/sdp"), OFFER),
            };
            self.acks.insert(number, ack);
        }
        self.out.extend(self.acks.get(&number).cloned());
    }

    /// A request of theirs: BYE, or UPDATE and INVITE as a refresh.
    fn serve(&mut self, text: &str) {
        if text.starts_with("ACK") {
            return;
        }
        let key = format!("{}{}", branch(text), method_of(text));
        if !self.served.contains_key(&key) {
            let status = match method_of(text).as_str() {
                "BYE" if self.over => "481 Gone",
                "BYE" => {
                    self.over = true;
                    "200 OK"
                }
                "UPDATE" if self.over => "481 Gone",
                "UPDATE" => ["200 OK", "200 OK", "491 Pending", "500 Not Now", "422 Too Small"][key.len() % 5],
                "INVITE" if self.over => "481 Gone",
                "INVITE" => ["200 OK", "200 OK", "491 Pending"][self.served.len() % 3],
                _ => "501 No",
            };
            let copy: String = ["Via", "From", "To", "Call-ID", "CSeq"]
                .into_iter()
                .map(|name| format!("{name}: {}\r\n", field(text, name)))
                .collect();
            let accepted = status == "200 OK" && text.starts_with("INVITE");
            let body = if accepted { OFFER } else { "" };
            let kind = if accepted {
                format!("Contact: <sip:c@192.0.2.1:{}>\r\n{}", self.contact, content("application/sdp"))
            } else {
                String::new()
            };
            let more = if status.starts_with("422") { "Min-SE: 400\r\n" } else { "" };
            self.served.insert(
                key.clone(),
                format!("SIP/2.0 {status}\r\n{copy}{more}{kind}Content-Length: {}\r\n\r\n{body}", body.len()),
            );
        }
        self.out.extend(self.served.get(&key).cloned());
    }
}

fn content(kind: &str) -> String {
    if kind.is_empty() {
        String::new()
    } else {
        format!("Content-Type: {kind}\r\n")
    }
}

/// The first value of a header field.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_default()
}

/// By CSeq, in requests and answers alike.
pub(crate) fn method_of(text: &str) -> String {
    field(text, "CSeq").split(' ').nth(1).unwrap_or_default().to_owned()
}
