//! `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`, with its password kept to
//! itself.
//!
//! Of libpq's `sslmode`s two exist here: `verify-full` (the default) and `disable` (the default
//! where nothing leaves the machine: loopback addresses and sockets). What lies between encrypts
//! without knowing to whom.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where a database is and how to get in.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

/// An address that cannot be used. Never quotes the address, since a password may stand in it.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("not an address of the form postgres://user:password@host:port/database")]
    Malformed,
    /// An `sslmode` that does not say who is at the other end.
    #[error("sslmode={0} is not supported: use verify-full, or disable where nothing leaves the machine")]
    SslMode(String),
    /// The file of trusted certificates.
    #[error("sslrootcert {path} cannot be used: {why}")]
    RootCertificate {
        /// Where it should be.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system's trusted certificates.
    #[error("the system's trusted certificates cannot be used: {0}")]
    Platform(#[from] rustls::Error),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        if !(base.starts_with("postgres://") || base.starts_with("postgresql://")) {
            return Err(AddressError::Malformed);
        }
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|p| !p.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => root = Some(value),
                _ => rest.push(parameter),
            }
        }
        let plain = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = plain.parse().map_err(|_| AddressError::Malformed)?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(AddressError::Malformed);
        }
        let verify = match mode {
            Some("verify-full") => true,
            Some("disable") => false,
            Some(other) => return Err(AddressError::SslMode(other.into())),
            // Where there is a `hostaddr`, that is where the connection goes, whatever the host is
            // called.
            None => {
                let elsewhere = config.get_hostaddrs().iter().any(|ip| !ip.is_loopback());
                elsewhere || !config.get_hosts().iter().all(is_local)
            }
        };
        let tls = if verify { Some(MakeRustlsConnect::new(trust(root)?)) } else { None };
        config.ssl_mode(if verify { SslMode::Require } else { SslMode::Disable });
        // A peer that is gone without a word is noticed within half a minute.
        config.keepalives_idle(std::time::Duration::from_secs(10));
        config.keepalives_interval(std::time::Duration::from_secs(5));
        config.keepalives_retries(3);
        config.tcp_user_timeout(std::time::Duration::from_secs(30));
        Ok(Address { config, tls })
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Whom to trust: the given file of certificates alone, or the system's authorities.
fn trust(root: Option<&str>) -> Result<rustls::ClientConfig, AddressError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let Some(path) = root else {
        // The verifier takes the process's default; whoever asked first has set the same one.
        let _ = provider.install_default();
        return Ok(rustls::ClientConfig::with_platform_verifier()?);
    };
    let unusable =
        |why: &dyn fmt::Display| AddressError::RootCertificate { path: path.into(), why: why.to_string() };
    let mut store = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(Path::new(path)).map_err(|e| unusable(&e))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| unusable(&e))?;
        store.add(certificate).map_err(|e| unusable(&e))?;
    }
    if store.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}

impl Address {
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn tls(&self) -> Option<&MakeRustlsConnect> {
        self.tls.as_ref()
    }

    /// Whether the connection is encrypted and the server known.
    pub fn verified(&self) -> bool {
        self.tls.is_some()
    }
}

/// `host:port/database`, for people.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}:{port}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}:{port}", path.display())?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_shows_neither_user_nor_password() {
        let address: Address = "postgres://app:s3cret@127.0.0.1:5433/rewards".parse().unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:5433/rewards");
        assert_eq!(format!("{address:?}"), "Address(127.0.0.1:5433/rewards)");
    }

    #[test]
    fn what_leaves_the_machine_is_verified_unless_told_otherwise() {
        let verified = |text: &str| text.parse::<Address>().unwrap().verified();
        assert!(!verified("postgres://a@127.0.0.1/x"));
        assert!(!verified("postgres://a@localhost/x"));
        assert!(verified("postgres://a@db.example/x"));
        assert!(!verified("postgres://a@db.example/x?sslmode=disable"));
        assert!(verified("postgres://a@localhost/x?sslmode=verify-full"));
        assert!(verified("postgres://a@localhost/x?hostaddr=203.0.113.7"), "it goes there");
        assert!(verified("postgres://a@localhost,localhost/x?hostaddr=127.0.0.1,203.0.113.7"));
        assert!(!verified("postgres://a@localhost/x?hostaddr=127.0.0.1"));
    }

    #[test]
    fn a_bad_address_is_refused_without_quoting_it() {
        for text in ["", "mysql://a/b", "postgres://u:s3cret@h:no/x", "postgres://u:s3cret@h", "s3cret"] {
            assert!(!refusal(text).contains("s3cret"), "{text}");
        }
        assert!(refusal("postgres://a@h/x?sslmode=prefer").contains("verify-full"));
        let missing = refusal("postgres://a@h/x?sslrootcert=/no/such.pem");
        assert!(missing.contains("/no/such.pem"), "{missing}");
    }
}
