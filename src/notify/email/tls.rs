//! TLS with a relay: at least version 1.2, chain and name verified always, and no way to switch that off.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::failure::configuration;
use crate::config::RelayConfig;
use crate::notify::NotifyError;

/// Longest ca_file read: a bundle of every public authority is well below it.
const LONGEST_CA_FILE_BYTES: u64 = 4 << 20;

/// What a handshake needs.
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    /// What the relay's certificate must be good for.
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// Trusts whom the system trusts, and the authorities in `relay.ca_file`. Both are read anew each time, so that they
    /// rotate without a restart.
    ///
    /// # Errors
    /// The authorities cannot be read, or the name cannot stand in a certificate: a mistake in the configuration.
    pub(super) fn new(relay: &RelayConfig) -> Result<Tls, NotifyError> {
        let name = relay.server_name.as_ref().unwrap_or(&relay.host);
        let name = ServerName::try_from(name.clone())
            .map_err(|_| configuration(format!("no certificate can be good for the name `{name}`")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| configuration(format!("failed to set up TLS: {error}")))?
            .with_root_certificates(authorities(relay)?)
            .with_no_client_auth();
        // A resumed session would not be verified again.
        config.resumption = Resumption::disabled();
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

fn authorities(relay: &RelayConfig) -> Result<RootCertStore, NotifyError> {
    let mut trusted = RootCertStore::empty();
    // Some systems carry an authority that cannot be read; the others are as good as ever.
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &relay.ca_file {
        let wrong = |what: String| {
            configuration(format!(
                "failed to read the authorities in `relay.ca_file` `{}`: {what}\n\
                 hint: it holds PEM certificates (BEGIN CERTIFICATE)",
                path.display()
            ))
        };
        let own = read(path).map_err(wrong)?;
        for certificate in own {
            trusted.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
    }
    if trusted.is_empty() {
        return Err(configuration(
            "this machine trusts nobody: it has no certificate authorities\n\
             hint: Debian has those of the web in the package `ca-certificates`; others go into `relay.ca_file`"
                .to_owned(),
        ));
    }
    Ok(trusted)
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LONGEST_CA_FILE_BYTES {
        return Err(format!("expected at most {LONGEST_CA_FILE_BYTES} bytes, found {length}"));
    }
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err("no certificate in it".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}
