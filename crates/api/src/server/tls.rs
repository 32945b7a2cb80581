//! TLS with a certificate from files, which may be replaced while the server runs.
//!
//! At a handshake, at most every few seconds, the files are looked at. If one has changed, both are read; if they do not fit
//! together, or cannot be read, which is so while they are being replaced, the certificate before stays.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls::crypto::aws_lc_rs};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A certificate with its key, as files hold them now.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    stamps: Stamps,
    looked: Instant,
}

/// By what a changed file is known: when it was written, and its length.
type Stamps = [Option<(SystemTime, u64)>; 2];

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that is not there, or holds no PEM.
    #[error("`{}` cannot be read as PEM", path.display())]
    File {
        /// Certificate or key.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PemError,
    },
    /// PEM without a certificate.
    #[error("`{}` holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// Certificate and key are not a pair, or of a kind that TLS has no use for.
    #[error("certificate and key cannot be used")]
    Unusable(#[source] rustls::Error),
}

impl Tls {
    /// A chain of certificates, the server's first, and its private key, both PEM.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or they do not fit together.
    pub fn of_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let (stamps, looked) = (files.stamps(), Instant::now());
        let loaded = Mutex::new(Loaded { config: files.load()?, stamps, looked });
        Ok(Tls { files, loaded })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current(Instant::now())).accept(stream).await
    }

    /// The certificate in the files, or the last one that could be used.
    pub(super) fn current(&self, now: Instant) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(loaded.looked) >= LOOK_EVERY {
            loaded.looked = now;
            let stamps = self.files.stamps();
            if stamps != loaded.stamps {
                match self.files.load() {
                    Ok(config) => {
                        tracing::info!(certificate = %self.files.certificate.display(), "a new certificate is used");
                        loaded.config = config;
                        loaded.stamps = stamps;
                    }
                    Err(error) => {
                        let error = &error as &(dyn std::error::Error + 'static);
                        tracing::warn!(
                            error,
                            "the certificate has changed and cannot be used; the old one is kept"
                        );
                    }
                }
            }
        }
        Arc::clone(&loaded.config)
    }
}

impl Files {
    fn stamps(&self) -> Stamps {
        [&self.certificate, &self.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let of = |path: &PathBuf| {
            let path = path.clone();
            move |source| TlsError::File { path, source }
        };
        let certificates = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(of(&self.certificate))?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate(self.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(of(&self.key))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
