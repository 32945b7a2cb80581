//! Layers: laid over each other, in order, into the one folder a function knows as `/opt`.

use std::path::{Path, PathBuf};

use crate::folder::{Files, add_folder};
use crate::limits::{Limits, Unpacked};
use crate::package::{OpenError, Package};
use crate::staged_folder::StagedFolder;
use crate::unpack::UnpackError;
use crate::zip_archive::add_zip;

/// As many layers as one function may have.
pub const MAX_LAYERS: usize = 5;

/// Why layers could not be laid over each other.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// AWS's limit; its text.
    #[error("Cannot reference more than {MAX_LAYERS} layers.")]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// One of them is neither folder nor zip archive.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A program cannot be a layer: it would not know its place in `/opt`.
    #[error("layer {} is a program; a layer is a folder or a zip archive", layer.display())]
    Program {
        /// The layer.
        layer: PathBuf,
    },
    /// One of them cannot be added.
    #[error("unpacking layer {}", layer.display())]
    Layer {
        /// Which one.
        layer: PathBuf,
        /// Why not.
        #[source]
        source: UnpackError,
    },
    /// Each could be added, but the folder could not be made, or a link leads out of it.
    #[error("laying the layers over each other")]
    Stack(#[source] UnpackError),
}

/// Makes a new folder `into` of `layers`, each a folder or a zip archive; the same file in a later one
/// replaces that of an earlier one. `limits` are those left by the function, [`Limits::after`].
///
/// The parent of `into` exists; `into` may exist if it is empty. No layers make an empty folder.
pub fn stack_layers(layers: &[PathBuf], into: &Path, limits: Limits) -> Result<Unpacked, LayersError> {
    stack(layers, into, limits, Files::Copied)
}

/// The same of folders whose files may be shared, since nobody changes them: it costs a name per file.
pub(crate) fn stack_shared(layers: &[PathBuf], into: &Path, limits: Limits) -> Result<Unpacked, LayersError> {
    stack(layers, into, limits, Files::Shared)
}

fn stack(layers: &[PathBuf], into: &Path, limits: Limits, files: Files) -> Result<Unpacked, LayersError> {
    if layers.len() > MAX_LAYERS {
        return Err(LayersError::TooMany { count: layers.len() });
    }
    let mut staged = StagedFolder::start(into, limits).map_err(LayersError::Stack)?;
    for layer in layers {
        staged.begin_source();
        let added = match Package::open(layer)? {
            Package::Folder(folder) => add_folder(&mut staged, &folder, files),
            Package::Zip(archive) => add_zip(&mut staged, &archive),
            Package::Executable(_) => return Err(LayersError::Program { layer: layer.clone() }),
        };
        added.map_err(|source| LayersError::Layer { layer: layer.clone(), source })?;
    }
    staged.finish().map_err(LayersError::Stack)
}
