//! `cargo xtask bench image`: what it brings to store and serve container images in chunks, beside what there is without.
//!
//! ```text
//! mod.rs            options, order                            chunks.rs    an image as chunks, and a tier that has them
//! deduplication.rs  what is stored of eight images            unpacked.rs  layers unpacked, and the stock tool's image
//! flattening.rs     throughput, memory, determinism           runtime_api.rs  one event, and the moment of its response
//! start.rs          to the first response, over each tier     report.rs    figures and targets
//! fault.rs          a page from the worker's cache            plot.rs      SVG
//! nodes.rs          cache nodes, one of which stalls
//! ```
//!
//! The corpus is built first if it is not there: see [`crate::image_corpus`]. Starts and faults mount images,
//! which takes root and a kernel that mounts EROFS from files; the rest takes neither. Like `bench`, it asserts no figure.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firesteel_image::{FlatImage, FlattenLimits, Layer, flatten};

use super::BenchError;
use crate::image_corpus::{self, Corpus, Image, plain_layer};

mod chunks;
mod deduplication;
mod fault;
mod flattening;
mod nodes;
mod plot;
mod report;
mod runtime_api;
mod start;
mod unpacked;

pub(super) use report::Report;

/// Images whose starts are measured, the last one if there is a large one; the corpus has others to tell how much is shared.
const STARTED: [&str; 5] = ["python", "numpy", "web", "data", "large"];

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// What to measure [default: all]
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,
    /// The corpus, which is built if it is not there.
    #[arg(long, value_name = "DIR", default_value = "target/image-corpus")]
    corpus: PathBuf,
    /// Size of the large image, if the corpus is built; with 0 there is none.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=10))]
    large_gib: u64,
    /// Images whose starts are measured. May be repeated.
    #[arg(long = "image", value_name = "NAME", default_values = STARTED, value_parser = STARTED)]
    images: Vec<String>,
    /// How often each start is made; medians count.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Draw the starts into this folder, as SVG.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Deduplication,
    Flattening,
    Start,
    Fault,
    Nodes,
}

/// Where things are while images are measured.
struct Setup {
    folder: PathBuf,
    corpus: Corpus,
    /// On the disk of the corpus, and gone afterwards.
    scratch: PathBuf,
}

impl Setup {
    fn image(&self, name: &str) -> io::Result<&Image> {
        let found = self.corpus.images.iter().find(|image| image.name == name);
        found.ok_or_else(|| io::Error::other(format!("no image {name:?} in the corpus")))
    }

    fn flatten(&self, image: &Image) -> io::Result<FlatImage> {
        let layers = image.layers.iter().map(|layer| {
            let tar = File::open(plain_layer(&self.folder, layer))?;
            Ok(Layer { digest: layer.diff_id.clone(), tar: Arc::new(tar) })
        });
        let layers = layers.collect::<io::Result<Vec<_>>>()?;
        // As large as the corpus was asked to be, whatever is accepted from others.
        let limits = FlattenLimits { content_bytes: 11 << 30, ..FlattenLimits::default() };
        flatten(&layers, &limits).map_err(io::Error::other)
    }
}

/// What could be measured, and why the rest could not.
pub(super) fn measure(options: &Options) -> Result<Report, BenchError> {
    let corpus = image_corpus::build(&options.corpus, options.large_gib)?;
    let folder = options.corpus.canonicalize().map_err(BenchError::Scratch)?;
    let scratch = tempfile::TempDir::with_prefix_in("bench-", &folder).map_err(BenchError::Scratch)?;
    let setup = Setup { folder, corpus, scratch: scratch.path().to_owned() };
    let named = |part| options.parts.is_empty() || options.parts.contains(&part);
    let mut report = Report::new();
    if named(Part::Flattening) {
        // First: later the process has memory of other parts, and its growth would say nothing.
        report.flattening = keep(&mut report.failures, "flattening", flattening::run(&setup));
    }
    if named(Part::Deduplication) {
        report.deduplication = keep(&mut report.failures, "deduplication", deduplication::run(&setup));
    }
    if named(Part::Fault) {
        report.faults = keep(&mut report.failures, "faults", fault::run(&setup));
    }
    if named(Part::Nodes) {
        report.nodes = keep(&mut report.failures, "nodes", nodes::run(&setup));
    }
    if named(Part::Start) {
        let wanted = |image: &&Image| options.images.contains(&image.name);
        let images: Vec<_> = setup.corpus.images.iter().chain(&setup.corpus.large).filter(wanted).collect();
        let started =
            keep(&mut report.failures, "starts", start::run(&setup, &images, options.rounds.into()));
        for starts in started.into_iter().flatten() {
            match starts {
                Ok(starts) => report.starts.push(starts),
                Err(why) => report.failures.push(why),
            }
        }
    }
    if let Some(folder) = &options.plots {
        draw(folder, &report).map_err(|source| BenchError::Draw { folder: folder.clone(), source })?;
    }
    Ok(report)
}

/// What a part gave, or else why it gave nothing, for the report to say.
fn keep<T>(failures: &mut Vec<String>, part: &str, measured: io::Result<T>) -> Option<T> {
    measured.map_err(|error| failures.push(format!("{part}: {error}"))).ok()
}

fn draw(folder: &Path, report: &Report) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("image-starts.svg"), plot::starts(&report.starts))?;
    std::fs::write(folder.join("image-bytes.svg"), plot::bytes(&report.starts))
}
