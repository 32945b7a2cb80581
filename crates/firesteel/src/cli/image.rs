//! `firesteel image …`, and where images are kept.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct ImageArguments {
    #[command(subcommand)]
    pub(crate) command: ImageCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Fetches an image and stores it, in chunks that it shares with others
    Add {
        /// REGISTRY/REPOSITORY:TAG, with or without @DIGEST; oci:FOLDER or oci:FOLDER:TAG; docker-archive:FILE or
        /// docker-archive:FILE:NAME; or FILE.tar
        reference: String,
        #[command(flatten)]
        library: LibraryArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Lists the images that are stored
    List {
        #[command(flatten)]
        library: LibraryArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Tells what is known of an image
    Inspect {
        #[command(flatten)]
        image: OneImage,
        #[command(flatten)]
        library: LibraryArguments,
    },
    /// Forgets an image; its space is free again when `collect` has found that nobody reads it
    Remove {
        #[command(flatten)]
        image: OneImage,
        #[command(flatten)]
        library: LibraryArguments,
    },
    /// Reads every chunk of an image, and compares it with what was stored
    Verify {
        #[command(flatten)]
        image: OneImage,
        #[command(flatten)]
        library: LibraryArguments,
    },
    /// Mounts an image, read-only, until Ctrl-C
    Mount {
        #[command(flatten)]
        image: OneImage,
        /// A symbolic link to make, which leads to its files
        link: PathBuf,
        #[command(flatten)]
        library: LibraryArguments,
    },
    /// Tells how much is stored, and how much of it is shared
    Stats {
        #[command(flatten)]
        library: LibraryArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Frees the space of what is not needed any more: moves images on, and deletes what nobody has read for a week
    Collect {
        /// Begin a new epoch first: what is stored in this one is moved, and the rest of it is deleted in the end
        #[arg(long)]
        rotate: bool,
        /// And a new salt with it: nothing that is stored from now on is shared with what was stored before
        #[arg(long, requires = "rotate")]
        new_salt: bool,
        #[command(flatten)]
        library: LibraryArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
}

/// An image that is stored.
#[derive(Debug, Args)]
pub(crate) struct OneImage {
    /// The reference that it was added by, its digest, its id, or the beginning of one of the two
    pub(crate) image: String,
}

/// How results are printed.
#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where images are kept, of a command that has nothing else to do with servers.
#[derive(Debug, Args)]
pub(crate) struct LibraryArguments {
    /// Folder that `serve` and `invoke` keep their data in [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) images: ImageStoreArguments,

    /// Where S3 is reached, if images are kept there [default: AWS's own]
    #[arg(long, value_name = "URL")]
    pub(crate) aws_endpoint: Option<String>,

    /// Region of the bucket
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    pub(crate) region: String,
}

/// Where images come from and where they are kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Container images")]
pub(crate) struct ImageStoreArguments {
    /// A bucket for chunks and manifests of images, which servers may share [default: the data folder]
    #[arg(long, value_name = "s3://BUCKET[/PREFIX]", env = "FIRESTEEL_IMAGE_STORE")]
    pub(crate) image_store: Option<String>,

    /// Registry of images whose names have none
    #[arg(long, value_name = "HOST[:PORT][/PATH]", env = "FIRESTEEL_DEFAULT_REGISTRY")]
    pub(crate) default_registry: Option<String>,

    /// Credentials of registries: a config.json as container tools write it [default: theirs]
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_config: Option<PathBuf>,

    /// Ask another host in place of a registry; may be repeated
    #[arg(long, value_name = "REGISTRY=HOST[:PORT]")]
    pub(crate) registry_mirror: Vec<String>,

    /// A cache node, which many servers may ask before the bucket; may be repeated, and needs six for one to be spared
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) cache_node: Vec<String>,

    #[command(flatten)]
    pub(crate) cache: CacheAccessArguments,
}

/// How cache nodes and those who ask them know each other.
#[derive(Debug, Clone, Args)]
pub(crate) struct CacheAccessArguments {
    /// A file with a secret that all of them have
    #[arg(long, value_name = "FILE")]
    pub(crate) cache_secret: Option<PathBuf>,

    /// A certificate, and those that it is signed by (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["cache_key", "cache_authority"])]
    pub(crate) cache_certificate: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cache_certificate")]
    pub(crate) cache_key: Option<PathBuf>,

    /// The authority that the others' certificates are of (PEM)
    #[arg(long, value_name = "FILE", requires = "cache_certificate")]
    pub(crate) cache_authority: Option<PathBuf>,
}
