//! What the tests stand on: one place that touches the API, real servers, and small readers.

pub mod agent;
pub mod browser;
pub mod cuts;
pub mod daemon;
pub mod desk;
pub mod mail;
pub mod openmetrics;
pub mod program;
pub mod readme;
pub mod scene;
pub mod scrape;
pub mod servers;
pub mod stub;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A client for loopback that needs no certificate authorities.
pub fn client() -> reqwest::Client {
    client_with(reqwest::redirect::Policy::default())
}

/// One that goes where an address leads in its own way.
pub fn client_with(redirects: reqwest::redirect::Policy) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only(std::iter::empty()).redirect(redirects).build().unwrap()
}

/// Status and body of a GET.
pub async fn get(url: &str) -> Result<(u16, String), reqwest::Error> {
    let response = client().get(url).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await?))
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, secret: &str) {
    std::fs::write(path, secret).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
