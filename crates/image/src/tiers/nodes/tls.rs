//! TLS between workers and nodes: each has a certificate of one authority, and asks the other for one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

/// What is spoken inside of it.
const HTTP_2: &[u8] = b"h2";

/// A certificate with its key, and the authority of all others.
#[derive(Debug)]
pub struct NodeTls {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum NodeTlsError {
    /// A file that is not there, or holds no PEM.
    #[error("`{}` cannot be read as PEM", path.display())]
    File {
        /// Certificate, key or authority.
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
    /// No authority can be made of it.
    #[error("`{}` cannot be used as an authority", path.display())]
    Authority {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: VerifierBuilderError,
    },
}

impl NodeTls {
    /// A chain of certificates, its own first, its private key, and certificates of the authority, all PEM. The same three serve for both
    /// ends. They are read once.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or they do not fit together.
    pub fn of_files(certificate: &Path, key: &Path, authority: &Path) -> Result<Self, NodeTlsError> {
        let chain = certificates(certificate)?;
        let private_key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority)? {
            roots.add(certificate).map_err(NodeTlsError::Unusable)?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(aws_lc_rs::default_provider()));
        let no_authority = |source| NodeTlsError::Authority { path: authority.to_owned(), source };
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let servers = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(NodeTlsError::Unusable)?
            .with_client_cert_verifier(clients.build().map_err(no_authority)?)
            .with_single_cert(chain.clone(), private_key.clone_key())
            .map_err(NodeTlsError::Unusable)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(NodeTlsError::Unusable)?
            .with_webpki_verifier(servers.build().map_err(no_authority)?)
            .with_client_auth_cert(chain, private_key)
            .map_err(NodeTlsError::Unusable)?;
        server.alpn_protocols = vec![HTTP_2.to_vec()];
        client.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(NodeTls { server: Arc::new(server), client: Arc::new(client) })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NodeTlsError> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable(path))?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unreadable(path))?;
    if certificates.is_empty() {
        return Err(NodeTlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

fn unreadable(path: &Path) -> impl Fn(PemError) -> NodeTlsError {
    move |source| NodeTlsError::File { path: path.to_owned(), source }
}
