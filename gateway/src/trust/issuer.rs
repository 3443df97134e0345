//! An identity provider: where its doors are, and its keys, fetched anew every hour and when a token names an unknown one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;

use super::fetch::{self, Fetch};
use super::keys::Keys;
use super::token::{Claims, Token};

/// How old keys may be before they are fetched anew.
const OLD: Duration = Duration::from_secs(3600);
/// Between two fetches at least, whatever tokens name.
const PAUSE: Duration = Duration::from_secs(60);

/// One identity provider.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// As its tokens have it.
    pub(crate) url: String,
    /// Where its keys are, when the configuration says so; else its own document tells.
    jwks: Option<String>,
    fetch: Fetch,
    held: RwLock<Arc<Held>>,
    /// When it was asked last; who asks holds it.
    turn: Mutex<Option<Instant>>,
    /// [`PAUSE`].
    pause: Duration,
}

/// What it said last.
#[derive(Debug, Default)]
pub(crate) struct Held {
    keys: Keys,
    /// Where persons are sent.
    pub(crate) authorization: Option<String>,
    /// Where codes become tokens.
    pub(crate) token: Option<String>,
    at: Option<Instant>,
}

/// Why a token is not believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It is wrong.
    Wrong(&'static str),
    /// Nobody can say at the moment: the identity provider does not answer.
    Silent,
}

/// OpenID Connect Discovery §3, as far as it matters here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
}

impl Held {
    fn is_new(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < OLD)
    }
}

impl Issuer {
    /// Not asked yet.
    pub(crate) fn new(url: String, jwks: Option<String>, fetch: Fetch) -> Self {
        Self {
            url,
            jwks,
            fetch,
            held: RwLock::default(),
            turn: Mutex::default(),
            pause: PAUSE,
        }
    }

    /// What a token says, if it is right for this audience at this second.
    ///
    /// # Errors
    /// It is not, or nobody can say.
    pub(crate) async fn believe(&self, token: &str, audience: &str, now: i64) -> Result<Claims, Doubt> {
        let token = Token::read(token).ok_or(Doubt::Wrong("it cannot be read, or is signed in a way that is not accepted"))?;
        let held = self.hold(|held| token.has_key_in(&held.keys)).await;
        if held.at.is_none() {
            return Err(Doubt::Silent);
        }
        token.believe(&held.keys, &self.url, audience, now).map_err(Doubt::Wrong)
    }

    /// What it says, asked anew when that is old or does not suffice.
    pub(crate) async fn hold(&self, suffices: impl Fn(&Held) -> bool) -> Arc<Held> {
        let held = self.held();
        if held.is_new() && suffices(&held) {
            return held;
        }
        let mut asked = if suffices(&held) {
            // One asks; the others go on with what is there.
            match self.turn.try_lock() {
                Ok(asked) => asked,
                Err(_) => return held,
            }
        } else {
            self.turn.lock().await
        };
        let held = self.held();
        if held.is_new() && suffices(&held) || asked.is_some_and(|at| at.elapsed() < self.pause) {
            return held;
        }
        *asked = Some(Instant::now());
        match self.ask().await {
            Ok(new) => {
                let new = Arc::new(new);
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
                new
            }
            Err(error) => {
                tracing::warn!(
                    issuer = self.url,
                    error,
                    "an identity provider does not answer; its last keys go on"
                );
                held
            }
        }
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for its document and its keys. What it no longer names is no longer believed.
    async fn ask(&self) -> Result<Held, String> {
        let (jwks, authorization, token) = match &self.jwks {
            Some(jwks) => (jwks.clone(), None, None),
            None => {
                let url = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
                let said = self.fetch.get(&url).await.map_err(|error| format!("{url}: {error}"))?;
                let document: Document = serde_json::from_slice(&said).map_err(|error| format!("{url}: {error}"))?;
                if document.issuer != self.url {
                    return Err(format!("{url}: it is the document of {}", document.issuer));
                }
                for door in [&document.authorization_endpoint, &document.token_endpoint].into_iter().flatten() {
                    fetch::check(door).map_err(|error| format!("{url}: {door}: {error}"))?;
                }
                (document.jwks_uri, document.authorization_endpoint, document.token_endpoint)
            }
        };
        let said = self.fetch.get(&jwks).await.map_err(|error| format!("{jwks}: {error}"))?;
        Ok(Held {
            keys: Keys::read(&said).map_err(|error| format!("{jwks}: {error}"))?,
            authorization,
            token,
            at: Some(Instant::now()),
        })
    }

    /// Asks it once, for the doctor: what was found.
    ///
    /// # Errors
    /// What is not well.
    pub(crate) async fn probe(&self) -> Result<String, String> {
        let held = self.ask().await?;
        match held.keys.count() {
            0 => Err("it has no key for RS256, ES256 or EdDSA, so that none of its tokens can be believed".to_owned()),
            count => Ok(format!("answers, and has {count} usable key{}", if count == 1 { "" } else { "s" })),
        }
    }

    /// POSTs a form to it.
    pub(crate) const fn fetch(&self) -> &Fetch {
        &self.fetch
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_507_200;

    /// An identity provider whose keys change.
    #[derive(Default)]
    struct Provider {
        signing: StdMutex<Vec<(String, Ed25519KeyPair)>>,
        asked: AtomicUsize,
        silent: StdMutex<bool>,
    }

    impl Provider {
        /// Adds a key, and with `alone` takes the others away.
        fn turn(&self, kid: &str, alone: bool) {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            let mut signing = self.signing.lock().unwrap();
            if alone {
                signing.clear();
            }
            signing.push((kid.to_owned(), Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap()));
        }

        /// A token by its newest key.
        fn sign(&self, issuer: &str) -> String {
            let signing = self.signing.lock().unwrap();
            let (kid, pair) = signing.last().unwrap();
            let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let claims = json!({"iss": issuer, "aud": "voxea", "sub": "etl", "exp": NOW + 300});
            let message = format!("{}.{}", part(json!({"alg": "EdDSA", "kid": kid})), part(claims));
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())))
        }

        fn set(&self) -> (StatusCode, String) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if *self.silent.lock().unwrap() {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            let signing = self.signing.lock().unwrap();
            let keys: Vec<_> = signing
                .iter()
                .map(|(kid, pair)| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode(pair.public_key())}))
                .collect();
            (StatusCode::OK, json!({"keys": keys}).to_string())
        }

        async fn listen(self: &Arc<Self>) -> String {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let (provider, base) = (Arc::clone(self), url.clone());
            let document = json!({"issuer": base, "jwks_uri": format!("{base}/keys"), "token_endpoint": format!("{base}/token")});
            let router = Router::new()
                .route("/.well-known/openid-configuration", get(async move || document.to_string()))
                .route("/keys", get(async move || provider.set()));
            tokio::spawn(async move { axum::serve(listener, router).await });
            url
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn keys_turn_and_old_ones_are_dropped() {
        let provider = Arc::new(Provider::default());
        provider.turn("one", true);
        let url = provider.listen().await;
        let mut issuer = Issuer::new(url.clone(), None, Fetch::new(None).unwrap());
        issuer.pause = Duration::ZERO;
        let first = provider.sign(&url);
        let all = futures_util::future::join_all((0..16).map(|_| issuer.believe(&first, "voxea", NOW))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(provider.asked(), 1, "who comes at once asks once");
        provider.turn("two", false);
        assert!(issuer.believe(&provider.sign(&url), "voxea", NOW).await.is_ok());
        assert!(issuer.believe(&first, "voxea", NOW).await.is_ok(), "both are in force");
        assert_eq!(provider.asked(), 2);
        provider.turn("three", true);
        assert!(issuer.believe(&provider.sign(&url), "voxea", NOW).await.is_ok());
        assert!(matches!(issuer.believe(&first, "voxea", NOW).await, Err(Doubt::Wrong(_))));
        assert_eq!(provider.asked(), 4, "a key that is not there is looked for");
    }

    #[tokio::test]
    async fn who_makes_up_keys_makes_nobody_ask() {
        let provider = Arc::new(Provider::default());
        provider.turn("one", true);
        let url = provider.listen().await;
        let issuer = Issuer::new(url.clone(), Some(format!("{url}/keys")), Fetch::new(None).unwrap());
        let right = provider.sign(&url);
        assert!(issuer.believe(&right, "voxea", NOW).await.is_ok());
        let stranger = Provider::default();
        for number in 0..20 {
            stranger.turn(&format!("made-up-{number}"), true);
            assert!(matches!(
                issuer.believe(&stranger.sign(&url), "voxea", NOW).await,
                Err(Doubt::Wrong(_))
            ));
        }
        assert_eq!(provider.asked(), 1);
        assert!(issuer.believe(&right, "voxea", NOW).await.is_ok());
    }

    #[tokio::test]
    async fn while_it_is_silent_its_last_keys_go_on() {
        let provider = Arc::new(Provider::default());
        provider.turn("one", true);
        *provider.silent.lock().unwrap() = true;
        let url = provider.listen().await;
        let mut issuer = Issuer::new(url.clone(), None, Fetch::new(None).unwrap());
        issuer.pause = Duration::ZERO;
        let right = provider.sign(&url);
        assert_eq!(issuer.believe(&right, "voxea", NOW).await, Err(Doubt::Silent));
        *provider.silent.lock().unwrap() = false;
        assert!(issuer.believe(&right, "voxea", NOW).await.is_ok());
        *provider.silent.lock().unwrap() = true;
        provider.turn("two", false);
        assert!(matches!(
            issuer.believe(&provider.sign(&url), "voxea", NOW).await,
            Err(Doubt::Wrong(_))
        ));
        assert!(issuer.believe(&right, "voxea", NOW).await.is_ok());
        // Another's document is not this one's.
        let other = Issuer::new(format!("{url}/"), None, Fetch::new(None).unwrap());
        let token = provider.sign(&format!("{url}/"));
        assert_eq!(other.believe(&token, "voxea", NOW).await, Err(Doubt::Silent));
    }
}
