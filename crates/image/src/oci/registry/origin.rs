//! Everywhere an image can be had from: a registry, and what stands in for it.

use std::sync::Arc;

use super::endpoint::Endpoint;
use super::http::Http;
use super::repository::Repository;
use super::{RegistryError, RegistrySettings};
use crate::oci::config::BadConfig;
use crate::oci::digest::Digest;
use crate::oci::error::SourceError;
use crate::oci::limits::OciLimits;
use crate::oci::local::Found;
use crate::oci::manifest::{BadManifest, Descriptor, Search, Step};
use crate::oci::platform::Platform;
use crate::oci::reference::RegistryReference;
use crate::oci::unpack::WrongBytes;

/// All registries.
#[derive(Debug)]
pub(in crate::oci) struct Registries {
    http: Arc<Http>,
}

impl Registries {
    pub(in crate::oci) fn new(settings: RegistrySettings) -> Self {
        Registries { http: Arc::new(Http::new(settings)) }
    }

    pub(in crate::oci) fn settings(&self) -> &RegistrySettings {
        &self.http.settings
    }

    /// The places of an image. Nothing is asked yet.
    pub(in crate::oci) fn origin(&self, reference: &RegistryReference) -> Result<Origin, RegistryError> {
        let repository = |place: &str, namespace: Option<&str>| {
            let endpoint = Endpoint::parse(place)
                .map_err(|source| RegistryError::Endpoint { endpoint: place.to_owned(), source })?;
            let (http, name) = (Arc::clone(&self.http), reference.repository.clone());
            Ok::<_, RegistryError>(Repository::new(http, endpoint, name, namespace.map(str::to_owned)))
        };
        let mirrors =
            self.http.settings.mirrors.iter().filter(|mirror| mirror.registry == reference.registry);
        let mirrors = mirrors.map(|mirror| repository(&mirror.endpoint, Some(&reference.registry)));
        let itself = std::iter::once_with(|| repository(&reference.registry, None));
        let repositories = mirrors.chain(itself).collect::<Result<_, RegistryError>>()?;
        Ok(Origin { repositories })
    }
}

/// The places of an image.
#[derive(Debug)]
pub(in crate::oci) struct Origin {
    /// In the order in which they are asked; never empty.
    repositories: Vec<Repository>,
}

impl Origin {
    /// Reads the documents of an image.
    pub(in crate::oci) async fn find(
        &self,
        reference: &RegistryReference,
        platform: &Platform,
        limits: &OciLimits,
    ) -> Result<Found<Descriptor>, SourceError> {
        let mut wanted = reference.wanted();
        let mut expected = reference.digest.map(|digest| (digest, None));
        let mut search = Search::new(platform, limits);
        let (digest, manifest) = loop {
            let bytes = self.manifest(&wanted, expected, limits.manifest_bytes).await?;
            let digest = Digest::of(&bytes);
            let unusable = |source: BadManifest| SourceError::Manifest { name: digest.to_string(), source };
            match search.step(&bytes).map_err(unusable)? {
                Step::Into(next) => {
                    wanted = next.digest.to_string();
                    expected = Some((next.digest, Some(next.bytes)));
                }
                Step::Image(manifest) => break (digest, manifest),
            }
        };
        let config = self.config(&manifest.config, limits.config_bytes).await?;
        Found::new(digest, (manifest.config.digest, &config), manifest.layers, platform)
    }

    /// A manifest from the first that has it, and has the right one.
    async fn manifest(
        &self,
        wanted: &str,
        expected: Option<(Digest, Option<u64>)>,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, SourceError> {
        let mut failed = None;
        for repository in self.repositories() {
            let error = match repository.manifest(wanted, limit_bytes).await {
                Ok(bytes) => {
                    let found = bytes.len() as u64;
                    let checked = match expected {
                        None => Ok(()),
                        Some((digest, expected)) => {
                            let bytes_expected = expected.unwrap_or(found);
                            WrongBytes::check(&bytes, &Descriptor { digest, bytes: bytes_expected })
                                .map_err(|source| SourceError::Wrong { digest, source })
                        }
                    };
                    match checked {
                        Ok(()) => return Ok(bytes),
                        Err(error) => error,
                    }
                }
                Err(error) => {
                    repository.note(&error);
                    error.into()
                }
            };
            failed = Some(error);
        }
        Err(failed.expect("there is at least the registry itself"))
    }

    async fn config(&self, config: &Descriptor, limit_bytes: u64) -> Result<Vec<u8>, SourceError> {
        let digest = config.digest;
        if config.bytes > limit_bytes {
            return Err(SourceError::Config { digest, source: BadConfig::TooLarge { limit_bytes } });
        }
        let mut failed = None;
        for repository in self.repositories() {
            failed = Some(match repository.blob(config, config.bytes).await {
                Ok(bytes) => match WrongBytes::check(&bytes, config) {
                    Ok(()) => return Ok(bytes),
                    Err(source) => SourceError::Wrong { digest, source },
                },
                Err(error) => {
                    repository.note(&error);
                    error.into()
                }
            });
        }
        Err(failed.expect("there is at least the registry itself"))
    }

    /// Those worth asking. The last one is, whatever it did before.
    pub(super) fn repositories(&self) -> impl Iterator<Item = &Repository> {
        let (last, mirrors) = self.repositories.split_last().expect("there is at least the registry itself");
        mirrors.iter().filter(|mirror| !mirror.is_down()).chain(std::iter::once(last))
    }

    /// How many there are.
    pub(in crate::oci) fn places(&self) -> usize {
        self.repositories.len()
    }

    pub(super) fn place(&self, number: usize) -> &Repository {
        &self.repositories[number]
    }
}
