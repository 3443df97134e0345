//! The client of object storage: S3 over our own TLS (rustls with ring, the machine's roots), without proxies, bounded in time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use voxea_core::base::secret::Secret;

/// For one question with its answer; a part of an upload has 5 MiB.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a connection.
const CONNECTING: Duration = Duration::from_secs(5);
/// Repetitions of what failed on the way or at the server; longer pauses are the job's.
const REPETITIONS: usize = 2;
/// After this nothing is repeated.
const REPEATING: Duration = Duration::from_secs(10);

/// How the server is reached, and who we are there.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// `https://…`, or `http://` on this machine.
    pub(crate) endpoint: String,
    /// As the provider writes it.
    pub(crate) region: String,
    /// The name of the key.
    pub(crate) access_key: Secret,
    /// The key, which signs.
    pub(crate) secret_key: Secret,
    /// Whom we trust.
    pub(crate) tls: ClientConfig,
}

/// Hands out the one HTTP client there is.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// A client of one bucket. Nothing is asked yet.
///
/// # Errors
/// What is wrong, without any secret.
pub(crate) fn connect(bucket: &str, client: &Client) -> Result<Arc<dyn ObjectStore>, String> {
    let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|address| SocketAddr::new(address, 0));
    let http = reqwest::Client::builder()
        .user_agent("voxea")
        .tls_backend_preconfigured(client.tls.clone())
        // What travels in clear stays on this machine, whatever the name was made to mean.
        .resolve_to_addrs("localhost", &here)
        .no_proxy()
        .redirect(Policy::none())
        .http1_only()
        .connect_timeout(CONNECTING)
        .timeout(PATIENCE)
        .build()
        .map_err(|error| error.to_string())?;
    let retry = RetryConfig {
        max_retries: REPETITIONS,
        retry_timeout: REPEATING,
        ..RetryConfig::default()
    };
    let store = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_endpoint(&client.endpoint)
        // What is not loopback was refused when the configuration was read.
        .with_allow_http(client.endpoint.starts_with("http://"))
        .with_virtual_hosted_style_request(false)
        .with_region(&client.region)
        .with_access_key_id(client.access_key.reveal())
        .with_secret_access_key(client.secret_key.reveal())
        // One request an object: the other way is missing on some servers.
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_http_connector(Connector(http))
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(store))
}
