//! `cargo xtask image-corpus`: container images to measure with, built from Debian's packages and Python's wheels.
//!
//! ```text
//! recipe.rs    the images, as data
//! debian.rs    base: packages of this machine's apt        wheels.rs   dependencies: wheels of this machine's pip
//! bytecode.rs  compiled modules, as installations leave them
//! tree.rs      a layer before it is a tar                  layout.rs   OCI layout folders
//! ```
//!
//! In the folder that it is given: `plain/` and `gzip/`, OCI layouts of the same images; `corpus.json`, which says what
//! they are; `layers/`, `apt/` and `wheels/`, what a next run need not make or download again. The same packages give
//! the same layers to the byte. Nothing is installed on this machine, and nobody has to be root.
//!
//! Called by hand and by `bench image`.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use serde::{Deserialize, Serialize};

mod bytecode;
mod debian;
mod layout;
mod recipe;
mod tree;
mod wheels;

use bytecode::Compiler;
use debian::Package;
pub(crate) use layout::Layer;
use layout::Layout;
use recipe::{App, Base, Dependencies, IMAGES, LARGE, Recipe};
pub(crate) use tree::Tree;
use tree::{Kind, Node};

/// Files of functions are from this time.
const APP_S: u64 = 1_767_610_800;

/// How much noise a file has.
const NOISE_BYTES: u64 = 48 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the corpus is, or is made. It needs about 2 GB, and the large image beside that.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Size of the large image, with noise in a layer of its own. With 0 there is none.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=10))]
    large_gib: u64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CorpusError {
    #[error("cannot start {program}")]
    Start { program: String, source: io::Error },
    #[error("{program} ended with {status}: {said}")]
    Failed { program: String, status: ExitStatus, said: String },
    #[error("cannot read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path:?}")]
    Write { path: PathBuf, source: io::Error },
}

/// `corpus.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Corpus {
    /// Of the base, such as `3.11`.
    pub(crate) python: String,
    packages: Vec<Package>,
    pub(crate) images: Vec<Image>,
    /// Not among the images: it is of no use to judge deduplication by.
    pub(crate) large: Option<Image>,
    /// Bytes that differ between the base and the patched one.
    pub(crate) patched_bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) name: String,
    /// From the base up.
    pub(crate) layers: Vec<Layer>,
}

impl Image {
    pub(crate) fn plain_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes).sum()
    }

    /// As it is downloaded.
    pub(crate) fn gzip_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.gzip.as_ref().map_or(layer.bytes, |(_, bytes)| *bytes)).sum()
    }
}

/// The path of a layer's plain tar.
pub(crate) fn plain_layer(corpus: &Path, layer: &Layer) -> PathBuf {
    corpus.join("plain/blobs").join(layer.diff_id.replacen(':', "/", 1))
}

/// The path of its compressed one, if it has one.
pub(crate) fn gzip_layer(corpus: &Path, layer: &Layer) -> Option<PathBuf> {
    let (digest, _) = layer.gzip.as_ref()?;
    Some(corpus.join("gzip/blobs").join(digest.replacen(':', "/", 1)))
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, CorpusError> {
    let corpus = build(&options.out, options.large_gib)?;
    let mut text = String::from("image           plain MB  gzip MB\n");
    for image in corpus.images.iter().chain(&corpus.large) {
        let (plain, gzip) = (image.plain_bytes() / 1_000_000, image.gzip_bytes() / 1_000_000);
        text.push_str(&format!("{:<14} {plain:>9} {gzip:>8}\n", image.name));
    }
    let all: u64 = corpus.images.iter().map(Image::plain_bytes).sum();
    text.push_str(&format!("the eight      {:>9}\n", all / 1_000_000));
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// The corpus in this folder, with what is missing of it built.
pub(crate) fn build(folder: &Path, large_gib: u64) -> Result<Corpus, CorpusError> {
    let mut builder = Builder::new(folder)?;
    let images: Vec<_> = IMAGES.iter().map(|recipe| builder.image(recipe, 0)).collect::<Result<_, _>>()?;
    let large = (large_gib > 0).then(|| builder.image(&LARGE, large_gib << 30)).transpose()?;
    let corpus = Corpus {
        python: builder.base()?.python,
        packages: builder.base()?.packages,
        patched_bytes: builder.base()?.patched_bytes,
        images,
        large,
    };
    builder.finish(&corpus)?;
    Ok(corpus)
}

struct Builder {
    folder: PathBuf,
    plain: Layout,
    gzip: Layout,
    compiler: Option<Compiler>,
}

/// `layers/base.facts.json`: what is known of the base only while it is made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct BaseFacts {
    python: String,
    packages: Vec<Package>,
    patched_bytes: u64,
}

/// `layers/NAME.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    recipe: String,
    layer: Layer,
}

impl Builder {
    fn new(folder: &Path) -> Result<Self, CorpusError> {
        let write = |source| CorpusError::Write { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder.join("layers")).map_err(write)?;
        // In full: apt takes a folder as relative to one of its own.
        let folder = folder.canonicalize().map_err(write)?;
        let plain = Layout::new(folder.join("plain")).map_err(write)?;
        let gzip = Layout::new(folder.join("gzip")).map_err(write)?;
        Ok(Self { folder, plain, gzip, compiler: None })
    }

    fn image(&mut self, recipe: &Recipe, total_bytes: u64) -> Result<Image, CorpusError> {
        let mut layers = vec![
            self.base_layer(recipe.base)?,
            self.dependencies(recipe.dependencies)?,
            self.app(recipe.app)?,
        ];
        let so_far: u64 = layers.iter().map(|layer| layer.bytes).sum();
        if total_bytes > so_far {
            // Below the function's layer, as a model or a data set would be.
            layers.insert(2, self.noise(total_bytes - so_far)?);
        }
        Ok(Image { name: recipe.name.to_owned(), layers })
    }

    fn base_layer(&mut self, base: Base) -> Result<Layer, CorpusError> {
        let recipe = format!("{:?} {:?}", recipe::PACKAGES, recipe::PATCHED);
        self.layer(base.name(), &recipe, true, |builder| match base {
            Base::Debian => {
                let (mut tree, packages) = debian::base(&recipe::PACKAGES, &builder.folder.join("apt"))?;
                let compiler = Compiler::new(&tree, &builder.folder)?;
                compiler.compile(&mut tree)?;
                let python = compiler.python().to_owned();
                builder.compiler = Some(compiler);
                builder.keep("base.facts", &BaseFacts { python, packages, patched_bytes: 0 })?;
                Ok(tree)
            }
            Base::Patched => {
                let mut tree = builder.base_tree()?;
                let patched_bytes = patch(&mut tree);
                builder.keep("base.facts", &BaseFacts { patched_bytes, ..builder.base()? })?;
                Ok(tree)
            }
        })
    }

    fn dependencies(&mut self, dependencies: Dependencies) -> Result<Layer, CorpusError> {
        let recipe = format!("{:?}", dependencies.requirements());
        self.layer(&dependencies.name(), &recipe, true, |builder| {
            let python = builder.base()?.python;
            let packages = format!("usr/local/lib/python{python}/dist-packages");
            let mut tree = Tree::default();
            let wheels = builder.folder.join("wheels");
            wheels::install(&mut tree, &dependencies.requirements(), &python, &packages, &wheels)?;
            let compiler = match builder.compiler.take() {
                Some(compiler) => compiler,
                None => Compiler::new(&builder.base_tree()?, &builder.folder)?,
            };
            compiler.compile(&mut tree)?;
            builder.compiler = Some(compiler);
            Ok(tree)
        })
    }

    fn app(&mut self, app: App) -> Result<Layer, CorpusError> {
        let recipe = format!("{:?}", app.files());
        self.layer(&app.name(), &recipe, true, |_| {
            let mut tree = Tree::default();
            for (name, content) in app.files() {
                tree.insert(&format!("var/task/{name}"), Node::file(content, APP_S));
            }
            Ok(tree)
        })
    }

    fn noise(&mut self, bytes: u64) -> Result<Layer, CorpusError> {
        // Compressed it would be as large, and is kept only once.
        self.layer("noise", &format!("{bytes}"), false, |_| {
            let mut tree = Tree::default();
            for (seed, begin) in (0..bytes).step_by(usize::try_from(NOISE_BYTES).unwrap_or(1)).enumerate() {
                let kind = Kind::Noise { seed: seed as u64, bytes: NOISE_BYTES.min(bytes - begin) };
                let path = format!("opt/model/part-{seed:04}.bin");
                tree.insert(&path, Node { kind, ..Node::file("", APP_S) });
            }
            Ok(tree)
        })
    }

    /// The layer as it was kept, if it was made by the same recipe, or as `tree` makes it.
    fn layer(
        &mut self,
        name: &str,
        recipe: &str,
        gzip: bool,
        tree: impl FnOnce(&mut Self) -> Result<Tree, CorpusError>,
    ) -> Result<Layer, CorpusError> {
        let recipe = format!("{} {recipe}", recipe::EDITION);
        let kept: Option<Kept> = self.kept(name);
        if let Some(kept) = kept.filter(|kept| kept.recipe == recipe && self.complete(&kept.layer)) {
            return Ok(kept.layer);
        }
        progress(name);
        let tree = tree(self)?;
        let write = |source| CorpusError::Write { path: self.folder.clone(), source };
        let (diff_id, bytes) = self.plain.add(|into| tree.write_tar(into)).map_err(write)?;
        let gzip = gzip.then(|| self.gzip.add_gzip(&self.plain.blob(&diff_id))).transpose().map_err(write)?;
        let layer = Layer { name: name.to_owned(), diff_id, bytes, gzip };
        self.keep(name, &Kept { recipe, layer: layer.clone() })?;
        Ok(layer)
    }

    fn complete(&self, layer: &Layer) -> bool {
        let gzip = layer.gzip.as_ref();
        self.plain.blob(&layer.diff_id).exists()
            && gzip.is_none_or(|(digest, _)| self.gzip.blob(digest).exists())
    }

    /// Facts of the base, which is always the first layer that is made.
    fn base(&self) -> Result<BaseFacts, CorpusError> {
        self.kept("base.facts").ok_or_else(|| CorpusError::Read {
            path: self.folder.join("layers/base.facts.json"),
            source: io::ErrorKind::InvalidData.into(),
        })
    }

    fn base_tree(&mut self) -> Result<Tree, CorpusError> {
        let base = self.base_layer(Base::Debian)?;
        let path = self.plain.blob(&base.diff_id);
        let mut tree = Tree::default();
        File::open(&path)
            .and_then(|file| tree.unpack(BufReader::new(file)))
            .map_err(|source| CorpusError::Read { path, source })?;
        Ok(tree)
    }

    fn kept<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        let text = std::fs::read(self.folder.join("layers").join(format!("{name}.json"))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn keep<T: Serialize>(&self, name: &str, value: &T) -> Result<(), CorpusError> {
        write_json(self.folder.join("layers").join(format!("{name}.json")), value)
    }

    fn finish(&self, corpus: &Corpus) -> Result<(), CorpusError> {
        let write = |source| CorpusError::Write { path: self.folder.clone(), source };
        for (layout, gzip) in [(&self.plain, false), (&self.gzip, true)] {
            let mut index = Vec::new();
            for image in corpus.images.iter().chain(&corpus.large) {
                for layer in image.layers.iter().filter(|layer| gzip && layer.gzip.is_none()) {
                    layout.share(&self.plain, &layer.diff_id).map_err(write)?;
                }
                index.push(layout.add_image(&image.name, &image.layers, gzip).map_err(write)?);
            }
            layout.write_index(&index).map_err(write)?;
        }
        write_json(self.folder.join("corpus.json"), corpus)
    }
}

/// Five files as a security update leaves them: the same at first, then other bytes in other places. Bytes of the five.
fn patch(tree: &mut Tree) -> u64 {
    let mut patched = 0;
    for pattern in recipe::PATCHED {
        let found =
            tree.iter().find(|(path, node)| matches!(node.kind, Kind::File(_)) && matches(pattern, path));
        let Some((path, node)) = found.map(|(path, node)| (path.to_owned(), node.clone())) else { continue };
        let Kind::File(content) = &node.kind else { continue };
        let (head, tail) = content.split_at(content.len() / 3);
        let content = [head, b"\n# patched: bytes that were not there before\n", tail].concat();
        patched += content.len() as u64;
        tree.insert(&path, Node { kind: Kind::File(content.into()), mtime_s: node.mtime_s + 86_400, ..node });
    }
    patched
}

/// Whether a path is what a pattern with stars says.
fn matches(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let parts: Vec<_> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        match if last { rest.ends_with(part).then_some(rest.len()) } else { rest.find(part) } {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    !parts.is_empty() || rest.is_empty()
}

fn write_json<T: Serialize>(path: PathBuf, value: &T) -> Result<(), CorpusError> {
    let text = serde_json::to_string_pretty(value).expect("the corpus has string keys only");
    std::fs::write(&path, text).map_err(|source| CorpusError::Write { path, source })
}

/// Says on standard error what is going on; a whole corpus takes minutes.
fn progress(what: &str) {
    // Nobody reads along when standard error is gone.
    let _ = writeln!(io::stderr(), "corpus: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_the_rest_of_a_name() {
        assert!(matches("usr/lib/*-linux-gnu/libz.so.1.*", "usr/lib/x86_64-linux-gnu/libz.so.1.2.13"));
        assert!(matches("etc/debian_version", "etc/debian_version"));
        assert!(!matches("etc/debian_version", "etc/debian_version.d"));
        assert!(!matches("usr/lib/*-linux-gnu/libz.so.1.*", "usr/lib/python3/libz.so.1.2"));
    }

    #[test]
    fn what_is_patched_is_moved() {
        let mut tree = Tree::default();
        tree.insert("etc/debian_version", Node::file("12.15\n", 7));
        assert!(patch(&mut tree) > 6);
        let node = tree.get("etc/debian_version").unwrap();
        let Kind::File(content) = &node.kind else { panic!("still a file") };
        assert!(content.starts_with(b"12") && content.ends_with(b".15\n"));
    }
}
