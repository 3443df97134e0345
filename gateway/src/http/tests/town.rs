//! A town's API over SQLite in a folder of its own, and what a client sees of it.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use voxea_core::base::actor::{Actor, Contract};
use voxea_core::base::grant::Scopes;
use voxea_core::base::stop::Stop;
use voxea_core::vault::{MasterKeys, new_line};
use voxea_core::{Core, CoreConfig};

use crate::http::compat::open311::settings::Open311;
use crate::http::{Api, Settings, account};
use crate::out::Guard;
use crate::run::health::Health;
use crate::run::metrics::Metrics;
use crate::trust::Trust;

pub(super) struct Town {
    router: Router,
    pub(super) core: Core,
    pub(super) key: String,
    _folder: TempDir,
}

/// What came back.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Got {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header; empty when there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A problem of this status and kind, with the headers that every answer has.
    #[track_caller]
    pub(super) fn is_problem(&self, status: u16, slug: &str) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        let body = self.json();
        assert_eq!(
            (body["status"].as_u64(), body["type"].as_str()),
            (Some(status.into()), Some(format!("urn:voxea:problem:{slug}").as_str()))
        );
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()) && body["title"].is_string());
    }
}

fn contract(scopes: &[&str]) -> Contract {
    Contract::everything(Scopes::from_names(scopes.iter().copied()).unwrap())
}

impl Town {
    pub(super) async fn new() -> Self {
        Self::with(|_| (), None).await
    }

    /// One with other settings.
    pub(super) async fn settled(settle: impl FnOnce(&mut Settings)) -> Self {
        Self::with(settle, None).await
    }

    /// One whose database is encrypted.
    pub(super) async fn sealed() -> Self {
        let keys = MasterKeys::parse(&new_line().unwrap()).unwrap();
        Self::with(|_| (), Some(keys)).await
    }

    /// One that gives sound and raw artefacts to nobody who says no purpose.
    pub(super) async fn strict() -> Self {
        Self::with(|settings| settings.purpose_required = true, None).await
    }

    async fn with(settle: impl FnOnce(&mut Settings), master_keys: Option<MasterKeys>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(CoreConfig {
            master_keys,
            ..CoreConfig::embedded(folder.path())
        })
        .await
        .unwrap();
        let key = core.keys.create(&Actor::System, "test", &contract(&["admin"])).await.unwrap();
        let epoch = core.intake.register(&account()).await.unwrap();
        let health = Health::default();
        health.listening();
        let mut settings = Settings {
            behind_proxy: false,
            tls: false,
            purpose_required: false,
            streams: 4,
            guard: Guard::new(vec!["127.0.0.0/8".parse().unwrap()]),
            requests_per_minute: 600_000,
            cors_origins: Vec::new(),
            open311: Open311::default(),
        };
        settle(&mut settings);
        let api = Api::new(core.clone(), epoch, settings, health, Metrics::new(), Trust::default());
        tokio::spawn(api.hub().clone().follow(Stop::new()));
        let router = crate::http::router(api);
        Self {
            router,
            core,
            key,
            _folder: folder,
        }
    }

    /// Sends a call as a client of HTTP/1.1 does, with a Host.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Got {
        request.headers_mut().insert(HOST, HeaderValue::from_static("voxea"));
        // One for all, so that two refusals are the same when they say the same.
        let id = HeaderValue::from_static("town");
        request.headers_mut().entry("x-request-id").or_insert(id);
        self.send_raw(request).await
    }

    /// Sends a call as it is.
    pub(super) async fn send_raw(&self, request: Request<Body>) -> Got {
        let response: Response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = if headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            // It has no end: what it says before it waits for something to happen.
            let (mut pieces, mut read) = (response.into_body().into_data_stream(), Vec::new());
            while let Ok(Some(piece)) = tokio::time::timeout(Duration::from_millis(200), pieces.next()).await {
                read.extend_from_slice(&piece.unwrap());
            }
            read
        } else {
            axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
        };
        Got { status, headers, body }
    }

    /// An answer whose body is not read yet.
    pub(super) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::get(path)
            .header("authorization", format!("Bearer {}", self.key))
            .header(HOST, "voxea");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// A key with these scopes alone.
    pub(super) async fn key_with(&self, scopes: &[&str]) -> String {
        self.core.keys.create(&Actor::System, "other", &contract(scopes)).await.unwrap()
    }

    pub(super) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Got {
        self.call_as(&self.key, method, path, headers, body).await
    }

    pub(super) async fn call_as(&self, key: &str, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Got {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.call("GET", path, &[], Body::empty()).await
    }

    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Got {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.call("POST", path, &headers, body.to_string()).await
    }

    /// A visit to the counter; its request.
    pub(super) async fn visit(&self, text: &str) -> Value {
        let got = self
            .post("/v1/intake/counter", &[], json!({"from": "06 12 34 56 78", "text": text}))
            .await;
        assert_eq!(got.status, 201, "{}", String::from_utf8_lossy(&got.body));
        got.json()
    }
}
