//! Who may log in: agents and roles as they are kept, logins, delays, sessions, codes that serve once.

use futures_util::future::join_all;
use voxea_core::access::{AgentRow, Credentials, Lifetime, Login, Oidc, Opened, People, Profile, Proof, Proved, Refusal, Role};
use voxea_core::base::actor::{Actor, Contract};
use voxea_core::base::error::CoreError;
use voxea_core::base::expected::Expected;
use voxea_core::base::grant::{Grant, Operation, Scopes};

use crate::place::{HOUR, NOW, Place, agent};

const PASSWORD: &str = "cheval rouge tasse";
const MINUTE: i64 = 60_000;

fn people(place: &Place) -> People {
    People::new(&place.store, Lifetime::default())
}

fn profile(login: &str, roles: &[&str]) -> Profile {
    Profile {
        login: login.to_owned(),
        name: "Jeanne Dupond".to_owned(),
        email: Some(format!("{login}@ville.example")),
        roles: roles.iter().map(|code| (*code).to_owned()).collect(),
        oidc: None,
        enabled: true,
    }
}

/// An agent with a password.
async fn entered(people: &People, login: &str, roles: &[&str]) -> AgentRow {
    let made = people.agents.put(&agent(), &Expected::Absent, profile(login, roles)).await.unwrap();
    people.agents.set_password(&agent(), login, PASSWORD).await.unwrap();
    made
}

async fn login(people: &People, login: &str, password: &str, totp: Option<&str>, now: i64) -> Login {
    let credentials = Credentials { login, password, totp };
    people.logins.login(credentials, now).await.unwrap()
}

async fn opened(people: &People, name: &str, totp: Option<&str>, now: i64) -> Box<Opened> {
    match login(people, name, PASSWORD, totp, now).await {
        Login::In(opened) => opened,
        other => panic!("{other:?}"),
    }
}

/// The code that a phone shows which was given this secret.
fn code(secret: &str, now: i64) -> String {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|one| *one == letter).unwrap();
        (bits, count) = (bits << 5 | u32::try_from(value).unwrap(), count + 5);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = ring::hmac::sign(&key, &(now / 30_000).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let value = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", value % 1_000_000)
}

pub(crate) async fn roles_are_shipped_and_change_what_their_holders_may(place: &Place) {
    let people = people(place);
    let codes: Vec<String> = people.roles.list().await.unwrap().into_iter().map(|role| role.code).collect();
    assert_eq!(codes, ["administrator", "agent", "reader"]);
    entered(&people, "j.dupond", &["reader"]).await;
    let token = opened(&people, "J.Dupond ", None, NOW).await.token;
    let may = async |operation| people.sessions.verify(&token, NOW).await.unwrap().unwrap().may(operation);
    assert!(may(Operation::Read).await && !may(Operation::Reply).await);
    let reader = people.roles.get("reader").await.unwrap();
    let wider = Role {
        grants: vec![Grant::everything(Scopes::from_names(["read", "reply"]).unwrap())],
        ..reader
    };
    let changed = people
        .roles
        .put(&agent(), &Expected::Versions(vec![1]), wider.clone())
        .await
        .unwrap();
    assert_eq!(changed.version, 2);
    assert!(may(Operation::Reply).await, "from the next call on");
    let stale = people.roles.put(&agent(), &Expected::Versions(vec![1]), wider.clone()).await;
    assert!(matches!(stale, Err(CoreError::Stale { current: 2, .. })));
    let there = people.roles.put(&agent(), &Expected::Absent, wider.clone()).await;
    assert!(matches!(there, Err(CoreError::Conflict(_))));
    let nobody = Role {
        code: "voirie".to_owned(),
        ..wider.clone()
    };
    let absent = people.roles.put(&agent(), &Expected::Any, nobody).await;
    assert!(matches!(absent, Err(CoreError::NotFound { .. })));
    let nothing = Role {
        grants: vec![Grant::default()],
        ..wider
    };
    let refused = people.roles.put(&agent(), &Expected::Any, nothing).await;
    assert!(matches!(refused, Err(CoreError::Invalid { pointer, .. }) if pointer == "/grants/0/operations"));
    assert_eq!(
        people.roles.get("reader").await.unwrap().version,
        2,
        "what is refused leaves no trace"
    );
}

pub(crate) async fn an_agent_changes_from_the_version_that_was_read(place: &Place) {
    let people = people(place);
    let made = people
        .agents
        .put(&agent(), &Expected::Absent, profile("j", &["agent"]))
        .await
        .unwrap();
    assert_eq!((made.version, made.has_password), (1, false));
    assert!(matches!(
        people.agents.put(&agent(), &Expected::Absent, profile("j", &[])).await,
        Err(CoreError::Conflict(_))
    ));
    for (wrong, at) in [
        (profile("J", &[]), "/login"),
        (profile("k", &["roi"]), "/roles/0"),
        (
            Profile {
                name: " ".to_owned(),
                ..profile("k", &[])
            },
            "/name",
        ),
        (
            Profile {
                email: Some("k".to_owned()),
                ..profile("k", &[])
            },
            "/email",
        ),
    ] {
        let refused = people.agents.put(&agent(), &Expected::Absent, wrong).await;
        assert!(
            matches!(&refused, Err(CoreError::Invalid { pointer, .. }) if pointer == at),
            "{at}: {refused:?}"
        );
    }
    // Of many from one version one wins, and the same again changes nothing.
    let renamed = |number: i32| Profile {
        name: format!("Jeanne {number}"),
        ..profile("j", &["agent"])
    };
    let tried = join_all((0..8).map(|number| {
        let (people, profile) = (people.clone(), renamed(number));
        async move { people.agents.put(&agent(), &Expected::Versions(vec![1]), profile).await }
    }));
    let won: Vec<AgentRow> = tried.await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(won[0].version, 2);
    let same = people.agents.put(&agent(), &Expected::Any, won[0].profile.clone()).await.unwrap();
    assert_eq!(same, won[0]);
    // Who the identity provider knows is one agent.
    let known = |login: &str| Profile {
        oidc: Some(Oidc {
            issuer: "https://id.example".to_owned(),
            subject: "42".to_owned(),
        }),
        ..profile(login, &[])
    };
    people.agents.put(&agent(), &Expected::Absent, known("k")).await.unwrap();
    let taken = people.agents.put(&agent(), &Expected::Absent, known("l")).await;
    assert!(matches!(taken, Err(CoreError::Invalid { pointer, .. }) if pointer == "/oidc_subject"));
    assert_eq!(people.agents.list().await.unwrap().len(), 2);
    assert_eq!(
        place
            .number("SELECT COUNT(*) FROM audit WHERE object LIKE 'agent/%' AND actor LIKE 'key:%'")
            .await,
        3
    );
}

pub(crate) async fn a_weak_password_says_what_it_lacks(place: &Place) {
    let people = people(place);
    people.agents.put(&agent(), &Expected::Absent, profile("j", &[])).await.unwrap();
    let refused = people.agents.set_password(&agent(), "j", "kvzpwqmdt").await;
    let Err(CoreError::Invalid { pointer, message }) = refused else {
        panic!()
    };
    assert_eq!(pointer, "/password");
    assert!(
        message.starts_with("42 bits; at least 50 are needed: 2 more characters"),
        "{message}"
    );
    let named = people.agents.set_password(&agent(), "j", "dupond-x7K-zzq").await;
    assert!(matches!(named, Err(CoreError::Invalid { .. })));
    assert_eq!(place.number("SELECT COUNT(*) FROM agent WHERE password IS NOT NULL").await, 0);
    let nobody = people.agents.set_password(&agent(), "nobody", PASSWORD).await;
    assert!(matches!(nobody, Err(CoreError::NotFound { .. })));
}

pub(crate) async fn failures_are_slowed_whoever_is_meant(place: &Place) {
    let people = people(place);
    entered(&people, "j", &[]).await;
    // The same for who exists and who does not: three at once, then 1 s, 2 s, 4 s …
    for who in ["j", "nobody", "no body\0"] {
        let mut now = NOW;
        let mut failed = 0;
        for wait in [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            assert!(
                matches!(login(&people, who, "wrong", None, now).await, Login::Refused(_)),
                "{who} {wait}"
            );
            failed += 1;
            if wait > 0 {
                // Even the right one does not count before.
                let early = login(&people, who, PASSWORD, None, now + wait * 1000 - 1).await;
                assert!(
                    matches!(early, Login::Later(at) if at == now + wait * 1000),
                    "{who} after {failed}: {early:?}"
                );
            }
            now += wait * 1000;
        }
        // A day later they are forgotten.
        now += 25 * HOUR;
        assert!(matches!(login(&people, who, "wrong", None, now).await, Login::Refused(_)));
        assert!(matches!(login(&people, who, "wrong", None, now).await, Login::Refused(_)));
    }
    // Success takes the count away.
    let now = NOW + 100 * HOUR;
    for _ in 0..3 {
        for _ in 0..2 {
            assert!(matches!(
                login(&people, "j", "wrong", None, now).await,
                Login::Refused(Refusal::Password)
            ));
        }
        opened(&people, "j", None, now).await;
    }
    people.logins.forget(now + 25 * HOUR).await.unwrap();
    assert_eq!(place.number("SELECT COUNT(*) FROM login_attempt").await, 0);
}

pub(crate) async fn of_many_tries_at_once_three_count(place: &Place) {
    let people = people(place);
    entered(&people, "j", &[]).await;
    for who in ["j", "nobody"] {
        let tried = join_all((0..12).map(|_| login(&people, who, "wrong", None, NOW))).await;
        let refused = tried.iter().filter(|login| matches!(login, Login::Refused(_))).count();
        assert_eq!(refused, 3, "{who}: {tried:?}");
    }
}

pub(crate) async fn a_session_ends_in_every_way(place: &Place) {
    let people = people(place);
    let made = entered(&people, "j", &["agent"]).await;
    let known = async |token: &str, now| people.sessions.verify(token, now).await.unwrap().is_some();
    let first = opened(&people, "j", None, NOW).await;
    let Some(Actor::Agent(who)) = people.sessions.verify(&first.token, NOW).await.unwrap() else {
        panic!()
    };
    assert_eq!((&who.id, who.login.as_str(), who.grants.len()), (&made.id, "j", 1));
    assert_eq!(first.expires_at, NOW + 10 * HOUR);
    assert!(!known(&format!("{}x", first.token), NOW).await && !known("vs_000000000000_x", NOW).await);
    // Used every 29 minutes it lasts, for ten hours.
    let mut now = NOW;
    while now + 29 * MINUTE < NOW + 10 * HOUR {
        now += 29 * MINUTE;
        assert!(known(&first.token, now).await, "{}", (now - NOW) / MINUTE);
    }
    assert!(!known(&first.token, NOW + 10 * HOUR).await);
    // Left alone for half an hour it does not.
    let idle = opened(&people, "j", None, NOW).await.token;
    assert!(known(&idle, NOW + 30 * MINUTE - 1).await);
    let idle = opened(&people, "j", None, NOW).await.token;
    assert!(!known(&idle, NOW + 30 * MINUTE).await);
    // Ended by its holder, once.
    let ended = opened(&people, "j", None, NOW).await.token;
    assert!(!people.sessions.end(&format!("{ended}x"), NOW).await.unwrap());
    assert!(people.sessions.end(&ended, NOW).await.unwrap() && !people.sessions.end(&ended, NOW).await.unwrap());
    assert!(!known(&ended, NOW).await);
    // By another password, and by being disabled; being enabled again brings no session back.
    let before = opened(&people, "j", None, NOW).await.token;
    people.agents.set_password(&agent(), "j", PASSWORD).await.unwrap();
    assert!(!known(&before, NOW).await);
    let before = opened(&people, "j", None, NOW).await.token;
    let off = Profile {
        enabled: false,
        ..profile("j", &["agent"])
    };
    people.agents.put(&agent(), &Expected::Any, off).await.unwrap();
    assert!(!known(&before, NOW).await);
    assert!(matches!(
        login(&people, "j", PASSWORD, None, NOW).await,
        Login::Refused(Refusal::Disabled)
    ));
    people.agents.put(&agent(), &Expected::Any, profile("j", &["agent"])).await.unwrap();
    assert!(!known(&before, NOW).await);
    people.logins.forget(NOW + 200 * 24 * HOUR).await.unwrap();
    assert_eq!(place.number("SELECT COUNT(*) FROM session").await, 0);
}

pub(crate) async fn a_code_serves_once(place: &Place) {
    let people = people(place);
    let made = entered(&people, "j", &[]).await;
    let secret = people.own.enrol(&made.id, "Ys", NOW).await.unwrap();
    assert!(secret.uri.reveal().starts_with("otpauth://totp/Ys:j?secret="));
    opened(&people, "j", None, NOW).await; // nothing is needed before it is confirmed
    let secret = secret.secret.reveal();
    assert_eq!(people.own.confirm(&made.id, "000000", NOW).await.unwrap(), Proof::Wrong);
    assert_eq!(people.own.confirm(&made.id, &code(secret, NOW), NOW).await.unwrap(), Proof::Done);
    assert!(people.agents.get("j").await.unwrap().has_totp);
    assert!(matches!(people.own.enrol(&made.id, "Ys", NOW).await, Err(CoreError::Conflict(_))));
    for wrong in [None, Some("123456"), Some(code(secret, NOW).as_str())] {
        let refused = login(&people, "j", PASSWORD, wrong, NOW).await;
        assert!(matches!(refused, Login::Refused(Refusal::Totp)), "{wrong:?}: {refused:?}");
    }
    let now = NOW + 10 * MINUTE;
    let shown = code(secret, now);
    // Six at once with one code: one is in. The delay lets three of them try.
    let tried = join_all((0..6).map(|_| login(&people, "j", PASSWORD, Some(&shown), now))).await;
    assert_eq!(tried.iter().filter(|login| matches!(login, Login::In(_))).count(), 1, "{tried:?}");
    // Its holder takes it away, or an administrator does.
    let now = now + HOUR;
    assert_eq!(people.own.remove(&made.id, &shown, now).await.unwrap(), Proof::Wrong);
    assert_eq!(people.own.remove(&made.id, &code(secret, now), now).await.unwrap(), Proof::Done);
    opened(&people, "j", None, now).await;
    let version = people.agents.get("j").await.unwrap().version;
    people.agents.remove_totp(&agent(), "j").await.unwrap();
    assert_eq!(
        people.agents.get("j").await.unwrap().version,
        version,
        "there was nothing to take away"
    );
    let secret = people.own.enrol(&made.id, "Ys", now).await.unwrap();
    let secret = secret.secret.reveal();
    assert_eq!(people.own.confirm(&made.id, &code(secret, now), now).await.unwrap(), Proof::Done);
    people.agents.remove_totp(&agent(), "j").await.unwrap();
    opened(&people, "j", None, now).await;
}

pub(crate) async fn a_password_is_changed_by_who_knows_it(place: &Place) {
    let people = people(place);
    let made = entered(&people, "j", &[]).await;
    let token = opened(&people, "j", None, NOW).await.token;
    let new = "autre tasse bleue";
    let change = async |current: &str, new: &str, now| people.own.change_password(&made.id, current, new, now).await;
    assert!(matches!(change(PASSWORD, "short", NOW).await, Err(CoreError::Invalid { pointer, .. }) if pointer == "/new"));
    for _ in 0..3 {
        assert_eq!(change("wrong", new, NOW).await.unwrap(), Proof::Wrong);
    }
    assert_eq!(change(PASSWORD, new, NOW).await.unwrap(), Proof::Later(NOW + 1000));
    assert!(people.sessions.verify(&token, NOW).await.unwrap().is_some());
    assert_eq!(change(PASSWORD, new, NOW + 1000).await.unwrap(), Proof::Done);
    assert!(people.sessions.verify(&token, NOW).await.unwrap().is_none());
    assert!(matches!(
        login(&people, "j", PASSWORD, None, NOW).await,
        Login::Refused(Refusal::Password)
    ));
    assert!(matches!(login(&people, "j", new, None, NOW).await, Login::In(_)));
    // Logins with the old password that are under way while it changes leave no session.
    let administrator = agent();
    let (tried, _) = tokio::join!(
        join_all((0..3).map(|_| login(&people, "j", new, None, NOW + HOUR))),
        people.agents.set_password(&administrator, "j", PASSWORD)
    );
    for login in tried {
        if let Login::In(opened) = login {
            assert!(people.sessions.verify(&opened.token, NOW + HOUR).await.unwrap().is_none());
        }
    }
}

pub(crate) async fn an_identity_provider_proves_one_agent(place: &Place) {
    let people = people(place);
    let known = Profile {
        oidc: Some(Oidc {
            issuer: "https://id.example".to_owned(),
            subject: "42".to_owned(),
        }),
        ..profile("j", &["agent"])
    };
    people.agents.put(&agent(), &Expected::Absent, known).await.unwrap();
    let twin = Profile {
        email: Some("J@ville.example".to_owned()),
        ..profile("k", &[])
    };
    let proved = async |who: Proved<'_>| {
        people
            .logins
            .proved(who, NOW)
            .await
            .unwrap()
            .map(|opened| opened.agent.profile.login)
    };
    let subject = |issuer, subject| Proved::Subject { issuer, subject };
    assert_eq!(proved(subject("https://id.example", "42")).await.as_deref(), Some("j"));
    assert_eq!(proved(subject("https://other.example", "42")).await, None);
    assert_eq!(proved(subject("https://id.example", "43")).await, None);
    assert_eq!(proved(Proved::Email("j@ville.example")).await.as_deref(), Some("j"));
    assert_eq!(proved(Proved::Login("j")).await.as_deref(), Some("j"));
    people.agents.put(&agent(), &Expected::Absent, twin).await.unwrap();
    assert_eq!(proved(Proved::Email("j@ville.example")).await, None, "of two, neither");
    people
        .agents
        .put(
            &agent(),
            &Expected::Any,
            Profile {
                enabled: false,
                ..profile("j", &[])
            },
        )
        .await
        .unwrap();
    assert_eq!(proved(Proved::Login("j")).await, None);

    let login = people.oidc.begin(NOW).await.unwrap();
    assert_eq!(people.oidc.take("other", &login.state, NOW).await.unwrap(), None);
    let taken = people.oidc.take(&login.cookie, &login.state, NOW).await.unwrap();
    assert_eq!(taken, Some((login.nonce, login.verifier)));
    assert_eq!(people.oidc.take(&login.cookie, &login.state, NOW).await.unwrap(), None, "once");
    let login = people.oidc.begin(NOW).await.unwrap();
    assert_eq!(people.oidc.take(&login.cookie, "other", NOW).await.unwrap(), None);
    let late = people.oidc.begin(NOW).await.unwrap();
    assert_eq!(people.oidc.take(&late.cookie, &late.state, NOW + HOUR).await.unwrap(), None);
}

pub(crate) async fn a_program_is_known_by_issuer_and_subject(place: &Place) {
    let people = people(place);
    let contract = Contract {
        until: Some(NOW + HOUR),
        ..Contract::everything(Scopes::from_names(["read"]).unwrap())
    };
    let id = people.clients.add(&agent(), "town", "etl", "Statistics", &contract).await.unwrap();
    let again = people.clients.add(&agent(), "town", "etl", "Other", &contract).await;
    assert!(matches!(again, Err(CoreError::Conflict(_))));
    let Some(Actor::Client(client)) = people.clients.find("town", "etl", NOW).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (client.id.as_str(), client.name.as_str(), &client.contract),
        ("oauth:town/etl", "Statistics", &contract)
    );
    assert_eq!(people.clients.find("other", "etl", NOW).await.unwrap(), None);
    assert_eq!(people.clients.find("town", "etl\0", NOW).await.unwrap(), None);
    assert_eq!(
        people.clients.find("town", "etl", NOW + HOUR).await.unwrap(),
        None,
        "its contract is over"
    );
    people.clients.revoke(&agent(), &id).await.unwrap();
    assert_eq!(people.clients.find("town", "etl", NOW).await.unwrap(), None);
    assert!(matches!(
        people.clients.revoke(&agent(), &id).await,
        Err(CoreError::NotFound { .. })
    ));
    people.clients.add(&agent(), "town", "etl", "Again", &contract).await.unwrap();
    assert_eq!(people.clients.list().await.unwrap().len(), 2);
}
