//! Agents as they log in and as an administrator keeps them.

use serde_json::{Value, json};

use super::town::{Got, Town};

const PASSWORD: &str = "cheval rouge tasse";
const JSON: (&str, &str) = ("content-type", "application/json");
const NEW: (&str, &str) = ("if-none-match", "*");

impl Town {
    async fn put(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Got {
        let headers = [headers, &[JSON]].concat();
        self.call("PUT", path, &headers, body.to_string()).await
    }

    /// An agent with a password and these roles.
    async fn agent(&self, login: &str, roles: &[&str]) -> Value {
        let made = self
            .put(
                &format!("/v1/agents/{login}"),
                &[NEW],
                json!({"name": "Jeanne Dupond", "roles": roles}),
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.json());
        let set = self
            .put(&format!("/v1/agents/{login}/password"), &[], json!({"password": PASSWORD}))
            .await;
        assert_eq!(set.status, 204);
        made.json()
    }

    /// Without any token.
    async fn enter(&self, body: Value) -> Got {
        let request = axum::http::Request::post("/v1/sessions").header(JSON.0, JSON.1);
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    async fn token(&self, login: &str) -> String {
        let entered = self.enter(json!({"login": login, "password": PASSWORD})).await;
        assert_eq!(entered.status, 201, "{}", entered.json());
        entered.json()["token"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_agent_logs_in_works_and_logs_out() {
    let town = Town::new().await;
    let made = town.agent("j.dupond", &["agent"]).await;
    assert_eq!(
        (&made["enabled"], &made["password"], &made["totp"]),
        (&json!(true), &json!(false), &json!(false))
    );
    let entered = town.enter(json!({"login": "J.Dupond", "password": PASSWORD})).await;
    assert_eq!(entered.status, 201);
    assert_eq!(entered.headers["cache-control"], "no-store");
    let entered = entered.json();
    assert_eq!(
        (&entered["agent"]["login"], &entered["agent"]["password"]),
        (&json!("j.dupond"), &json!(true))
    );
    assert!(!entered.to_string().contains("argon2"));
    let token = entered["token"].as_str().unwrap();
    assert!(token.starts_with("vs_"));

    let as_agent = async |method: &str, path: &str, body: &str| town.call_as(token, method, path, &[JSON], body.to_owned()).await;
    let me = as_agent("GET", "/v1/me", "").await.json();
    assert_eq!(me["kind"], "agent");
    assert_eq!(me["id"], format!("agent:{}", made["id"].as_str().unwrap()));
    assert_eq!(me["grants"][0]["operations"], json!(["read", "reply", "intake"]));
    assert_eq!(me["grants"][0]["confidentiality"], "normal");
    // What they do is theirs in history.
    let visit = as_agent("POST", "/v1/intake/counter", r#"{"text":"Bonjour"}"#).await;
    assert_eq!(visit.status, 201);
    let history = town
        .get(&format!("/v1/requests/{}/history", visit.json()["id"].as_str().unwrap()))
        .await;
    assert!(
        history.json().to_string().contains(made["id"].as_str().unwrap()),
        "{}",
        history.json()
    );
    as_agent("GET", "/v1/agents", "").await.is_problem(403, "forbidden");

    assert_eq!(as_agent("DELETE", "/v1/sessions/current", "").await.status, 204);
    as_agent("GET", "/v1/me", "").await.is_problem(401, "unauthenticated");
    // A key is known too, and has nothing to log out of.
    let me = town.get("/v1/me").await.json();
    assert_eq!(
        (&me["kind"], &me["name"], &me["agent"]),
        (&json!("program"), &json!("test"), &Value::Null)
    );
    town.call("DELETE", "/v1/sessions/current", &[], "")
        .await
        .is_problem(409, "conflict");
    town.post("/v1/me/totp", &[], json!({})).await.is_problem(409, "conflict");
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_the_same() {
    let town = Town::new().await;
    town.agent("right", &[]).await;
    town.agent("off", &[]).await;
    town.agent("coded", &[]).await;
    let off = town
        .put("/v1/agents/off", &[("if-match", "*")], json!({"name": "x", "enabled": false}))
        .await;
    assert_eq!(off.status, 200);
    town.put("/v1/agents/bare", &[NEW], json!({"name": "x"})).await;
    let coded = town.core.people.agents.get("coded").await.unwrap();
    let now = voxea_core::base::time::now();
    let secret = town.core.people.own.enrol(&coded.id, "Ys", now).await.unwrap();
    let code = code(secret.secret.reveal(), now);
    let confirmed = town.core.people.own.confirm(&coded.id, &code, now).await.unwrap();
    assert_eq!(confirmed, voxea_core::access::Proof::Done);

    let mut answers = Vec::new();
    for body in [
        json!({"login": "right", "password": "wrong"}),
        json!({"login": "nobody", "password": PASSWORD}),
        json!({"login": "\u{0} '", "password": PASSWORD}),
        json!({"login": "off", "password": PASSWORD}),
        json!({"login": "bare", "password": ""}),
        json!({"login": "coded", "password": PASSWORD}),
        json!({"login": "coded", "password": PASSWORD, "totp": code}),
    ] {
        let got = town.enter(body).await;
        got.is_problem(401, "login-refused");
        answers.push((got.headers, got.body));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");

    // And so is the delay, for who exists and for who does not.
    let mut delays = Vec::new();
    for login in ["right", "nobody"] {
        for _ in 0..2 {
            town.enter(json!({"login": login, "password": "wrong"}))
                .await
                .is_problem(401, "login-refused");
        }
        let later = town.enter(json!({"login": login, "password": PASSWORD})).await;
        later.is_problem(429, "throttled");
        delays.push((later.headers, later.body));
    }
    assert_eq!(delays[0], delays[1]);
    assert_eq!(delays[0].0["retry-after"], "1");
}

/// The code that a phone shows which was given this secret.
fn code(secret: &str, now: i64) -> String {
    let values = secret.bytes().map(|letter| {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        u128::try_from(letters.iter().position(|one| *one == letter).unwrap()).unwrap()
    });
    // 160 bits are more than a number holds: 25 letters, then 7.
    let values: Vec<u128> = values.collect();
    let bytes: Vec<u8> = values
        .chunks(8)
        .flat_map(|eight| eight.iter().fold(0, |bits, value| bits << 5 | value).to_be_bytes()[11..].to_vec())
        .collect();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = ring::hmac::sign(&key, &(now / 30_000).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let value = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", value % 1_000_000)
}

#[tokio::test]
async fn the_twenty_first_failure_of_an_address_waits() {
    let town = Town::new().await;
    town.agent("j", &[]).await;
    // Successes do not count.
    for _ in 0..3 {
        town.token("j").await;
    }
    for number in 0..20 {
        town.enter(json!({"login": format!("nobody{number}"), "password": "x"}))
            .await
            .is_problem(401, "login-refused");
    }
    let waits = town.enter(json!({"login": "j", "password": PASSWORD})).await;
    waits.is_problem(429, "throttled");
    assert!(waits.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 60);
    // Whoever is in stays in.
    assert_eq!(town.get("/v1/me").await.status, 200);
}

#[tokio::test]
async fn agents_keep_their_own_access() {
    let town = Town::new().await;
    town.agent("j", &["reader"]).await;
    let token = town.token("j").await;
    let own = async |method: &str, path: &str, body: Value| town.call_as(&token, method, path, &[JSON], body.to_string()).await;
    let made = own("POST", "/v1/me/totp", json!({})).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(
        made["uri"]
            .as_str()
            .unwrap()
            .contains(&format!("secret={secret}&issuer=Mairie%20de%20Saint-Exemple"))
    );
    let wrong = own("PUT", "/v1/me/totp", json!({"code": "abcdef"})).await;
    wrong.is_problem(422, "invalid");
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/code");
    let now = voxea_core::base::time::now();
    assert_eq!(own("PUT", "/v1/me/totp", json!({"code": code(secret, now)})).await.status, 204);
    assert_eq!(town.get("/v1/agents/j").await.json()["totp"], true);
    own("POST", "/v1/me/totp", json!({})).await.is_problem(409, "conflict");
    town.enter(json!({"login": "j", "password": PASSWORD}))
        .await
        .is_problem(401, "login-refused");
    // The next code is not shown yet, but a phone may be a little ahead.
    let next = code(secret, now + 30_000);
    let entered = town.enter(json!({"login": "j", "password": PASSWORD, "totp": next})).await;
    assert_eq!(entered.status, 201);
    own("DELETE", "/v1/me/totp", json!({"code": next})).await.is_problem(422, "invalid");
    let removed = town.call("DELETE", "/v1/agents/j/totp", &[], "").await;
    assert_eq!(removed.status, 204);
    let again = town.call("DELETE", "/v1/agents/j/totp", &[], "").await;
    assert_eq!(again.status, 204);
    town.call("DELETE", "/v1/agents/k/totp", &[], "").await.is_problem(404, "not-found");

    let weak = own("PUT", "/v1/me/password", json!({"current": PASSWORD, "new": "kvzpwqmdt"})).await;
    weak.is_problem(422, "invalid");
    assert_eq!(weak.json()["errors"][0]["pointer"], "/new");
    assert!(
        weak.json()["detail"]
            .as_str()
            .unwrap()
            .starts_with("42 bits; at least 50 are needed")
    );
    let wrong = own("PUT", "/v1/me/password", json!({"current": "x", "new": "autre tasse bleue"})).await;
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/current");
    let changed = own("PUT", "/v1/me/password", json!({"current": PASSWORD, "new": "autre tasse bleue"})).await;
    assert_eq!(changed.status, 204);
    own("GET", "/v1/me", json!({})).await.is_problem(401, "unauthenticated");
    let entered = town.enter(json!({"login": "j", "password": "autre tasse bleue"})).await;
    assert_eq!(entered.status, 201);
}

#[tokio::test]
async fn an_administrator_changes_the_version_that_was_read() {
    let town = Town::new().await;
    town.agent("chef", &["administrator"]).await;
    let chief = town.token("chef").await;
    town.agent("j", &["reader"]).await;
    let token = town.token("j").await;
    let read = town.call_as(&chief, "GET", "/v1/agents/j", &[], "").await;
    assert_eq!((read.status.as_u16(), &read.headers["etag"]), (200, &"\"2\"".parse().unwrap()));
    let body = json!({"name": "Jean", "email": "j@ville.example", "roles": ["reader"], "enabled": false});
    let put = async |headers: &[(&str, &str)], body: &Value| {
        let headers = [headers, &[JSON]].concat();
        town.call_as(&chief, "PUT", "/v1/agents/j", &headers, body.to_string()).await
    };
    put(&[], &body).await.is_problem(428, "precondition-required");
    put(&[("if-match", "\"1\"")], &body).await.is_problem(412, "stale");
    put(&[NEW], &body).await.is_problem(409, "conflict");
    let done = put(&[("if-match", "\"2\"")], &body).await;
    assert_eq!((done.status.as_u16(), &done.json()["version"]), (200, &json!(3)));
    town.call_as(&token, "GET", "/v1/me", &[], "")
        .await
        .is_problem(401, "unauthenticated");
    for (wrong, pointer) in [
        (json!({"name": "x", "roles": ["roi"]}), "/roles/0"),
        (json!({"name": "x", "oidc_subject": "1"}), "/oidc_issuer"),
        (json!({"name": "x", "email": "nobody"}), "/email"),
        (json!({"name": "x", "password": "y"}), ""),
    ] {
        let refused = put(&[("if-match", "*")], &wrong).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{wrong}");
    }
    town.put("/v1/agents/x", &[("if-match", "*")], json!({"name": "x"}))
        .await
        .is_problem(404, "not-found");
    town.put("/v1/agents/x/password", &[], json!({"password": PASSWORD}))
        .await
        .is_problem(404, "not-found");
    let logins: Vec<Value> = town.get("/v1/agents").await.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["login"].clone())
        .collect();
    assert_eq!(logins, ["chef", "j"]);
}

#[tokio::test]
async fn without_an_identity_provider_nobody_is_taken_at_its_word() {
    let town = Town::new().await;
    for path in ["/v1/oidc/login", "/v1/oidc/callback?code=a&state=b"] {
        town.get(path).await.is_problem(404, "not-found");
    }
    // {"alg":"none"}.{"iss":"x","exp":9e9}.
    for token in ["eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4IiwiZXhwIjo5ZTl9.AA", "a.b.c"] {
        town.call_as(token, "GET", "/v1/me", &[], "")
            .await
            .is_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_role_says_what_its_holders_may() {
    let town = Town::new().await;
    let roads =
        json!({"label": "Voirie", "grants": [{"operations": ["read", "reply"], "services": ["service-technique"], "unthemed": true}]});
    let made = town.put("/v1/roles/voirie", &[NEW], roads.clone()).await;
    assert_eq!((made.status.as_u16(), &made.headers["etag"]), (201, &"\"1\"".parse().unwrap()));
    assert_eq!(made.json()["grants"][0]["services"], json!(["service-technique"]));
    town.agent("j", &["voirie"]).await;
    let token = town.token("j").await;
    let intake = async || town.call_as(&token, "POST", "/v1/intake/counter", &[JSON], r#"{"text":"a"}"#).await;
    intake().await.is_problem(403, "forbidden");
    let wider = json!({"label": "Voirie", "grants": [{"operations": ["read", "reply", "intake"]}]});
    assert_eq!(
        town.put("/v1/roles/voirie", &[("if-match", "\"1\"")], wider.clone()).await.status,
        200
    );
    assert_eq!(intake().await.status, 201);
    town.put("/v1/roles/voirie", &[("if-match", "\"1\"")], wider)
        .await
        .is_problem(412, "stale");
    for (wrong, pointer) in [
        (json!({"label": "x", "grants": [{"operations": ["root"]}]}), "/grants/0/operations"),
        (json!({"label": "x", "grants": [{"operations": []}]}), "/grants/0/operations"),
        (json!({"label": "x", "grants": [["read"]]}), "/grants/0"),
        (json!({"label": "", "grants": []}), "/label"),
    ] {
        let refused = town.put("/v1/roles/voirie", &[("if-match", "*")], wrong.clone()).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{wrong}");
    }
    for (grant, pointer, told) in [
        (
            json!({"operations": ["read"], "themes": ["voiri"]}),
            "/grants/1/themes",
            "there is no theme `voiri`; did you mean voirie? `GET /v1/themes` lists them",
        ),
        (
            json!({"operations": ["read"], "services": ["xyz"]}),
            "/grants/1/services",
            "there is no service `xyz`; `GET /v1/services` lists them",
        ),
        (
            json!({"operations": ["read"], "channels": ["emial"]}),
            "/grants/1/channels/0",
            "there is no channel `emial`; did you mean email? There are call, voicemail, sms,",
        ),
    ] {
        let body = json!({"label": "x", "grants": [{"operations": ["read"], "themes": ["voirie"]}, grant]});
        let refused = town.put("/v1/roles/voirie", &[("if-match", "*")], body).await;
        refused.is_problem(422, "invalid");
        let error = &refused.json()["errors"][0];
        assert_eq!(error["pointer"], pointer);
        assert!(error["detail"].as_str().unwrap().starts_with(told), "{error}");
    }
    let codes: Vec<Value> = town.get("/v1/roles").await.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["code"].clone())
        .collect();
    assert_eq!(codes, ["administrator", "agent", "reader", "voirie"]);
    town.get("/v1/roles/roi").await.is_problem(404, "not-found");
}
