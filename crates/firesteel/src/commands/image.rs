//! `firesteel image …`: what is in the store of images, without a server.
//!
//! Several may use the store at once, servers among them.

use std::io::IsTerminal;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use firesteel_image::library::{AddError, Library};
#[cfg(target_os = "linux")]
use firesteel_image::library::{LoadedImage, Loader};
use firesteel_image::manifest::ImageId;
use firesteel_image::oci::{Fault, Progress};
use firesteel_image::store::{OpenError, Stats};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::{ImageArguments, ImageCommand, LibraryArguments};
#[cfg(target_os = "linux")]
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Failure};
use crate::images;
use crate::notice::tell;
use crate::table::{self, Column, text};

pub(crate) async fn run(arguments: ImageArguments) -> Result<Exit, Failure> {
    let mut interrupted = pin!(super::invoke::interrupted());
    let done = tokio::select! {
        biased;
        exit = &mut interrupted => return Ok(exit),
        done = dispatch(arguments.command) => done?,
    };
    match done {
        Done::Exit(exit) => Ok(exit),
        Done::Mounted(mounted) => {
            let exit = interrupted.await;
            mounted.end().await;
            Ok(exit)
        }
    }
}

enum Done {
    Exit(Exit),
    /// Until whoever asked for it has enough.
    Mounted(Mounted),
}

async fn dispatch(command: ImageCommand) -> Result<Done, Failure> {
    let exit = match command {
        ImageCommand::Mount { image, link, library } => {
            return mount(&image.image, &link, &library).await.map(Done::Mounted);
        }
        ImageCommand::Add { reference, library, output } => add(&reference, &library, output.json).await,
        ImageCommand::List { library, output } => list(&library, output.json).await,
        ImageCommand::Inspect { image, library } => inspect(&image.image, &library).await,
        ImageCommand::Remove { image, library } => remove(&image.image, &library).await,
        ImageCommand::Verify { image, library } => verify(&image.image, &library).await,
        ImageCommand::Stats { library, output } => stats(&library, output.json).await,
        ImageCommand::Collect { rotate, new_salt, library, output } => {
            collect(&library, rotate, new_salt, output.json).await
        }
    };
    exit.map(Done::Exit)
}

async fn add(reference: &str, arguments: &LibraryArguments, as_json: bool) -> Result<Exit, Failure> {
    let parsed = images::reference(reference, &arguments.images)?;
    let library = images::library_of(arguments).await?;
    let bars = Arc::new(Bars::default());
    let added = library.add(&parsed, Arc::clone(&bars) as Arc<dyn Progress>).await;
    bars.clear();
    let added = added.map_err(|error| not_added(reference, &error))?;
    let put = added.put;
    if as_json {
        let shown = json!({
            "Reference": parsed.to_string(),
            "Digest": added.digest,
            "Image": added.image.to_string(),
            "WasThere": put.was_there,
            "Chunks": put.chunks,
            "NewChunks": put.new_chunks,
            "StoredBytes": put.stored_bytes,
            "NewBytes": put.new_bytes,
        });
        return table::line(&shown.to_string());
    }
    if put.was_there {
        tell(format_args!("firesteel: {parsed} was there"));
    } else {
        tell(format_args!(
            "firesteel: added {parsed}: {} in {} chunks, of which {} ({}) are new",
            HumanBytes(put.stored_bytes),
            put.chunks,
            put.new_chunks,
            HumanBytes(put.new_bytes),
        ));
    }
    table::line(&added.digest)
}

async fn list(arguments: &LibraryArguments, as_json: bool) -> Result<Exit, Failure> {
    const COLUMNS: &[Column] = &[
        ("REFERENCE", |image| {
            let names = image["References"].as_array().map(Vec::as_slice).unwrap_or_default();
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            if names.is_empty() { "-".to_owned() } else { names.join(", ") }
        }),
        ("DIGEST", |image| text(image, "Digest")),
        ("SIZE", |image| {
            image["ImageBytes"].as_u64().map_or("-".into(), |bytes| HumanBytes(bytes).to_string())
        }),
    ];
    let library = images::library_of(arguments).await?;
    let images = library.store().list().await.map_err(|error| store_failed(&error))?;
    let images: Vec<Value> = images
        .into_iter()
        .map(|(image, row, names)| {
            json!({
                "References": names,
                "Digest": row.digest,
                "Image": image.to_string(),
                "ImageBytes": row.image_bytes,
            })
        })
        .collect();
    table::print(&images, COLUMNS, as_json)
}

async fn inspect(name: &str, arguments: &LibraryArguments) -> Result<Exit, Failure> {
    let (library, image) = find(name, arguments).await?;
    let described = library.store().inspect(image).await.map_err(|error| open_failed(name, &error))?;
    let opened = library.store().open(image).await.map_err(|error| open_failed(name, &error))?;
    let config: Value = serde_json::from_str(opened.image.config()).unwrap_or_default();
    let chunks = described.manifest.chunks();
    let shown = json!({
        "References": described.names,
        "Digest": described.row.digest,
        "Image": image.to_string(),
        "ImageBytes": described.row.image_bytes,
        "Chunks": chunks.len(),
        "StoredBytes": chunks.iter().map(|chunk| u64::from(chunk.stored_bytes)).sum::<u64>(),
        "Root": described.row.root.to_string(),
        "Config": config,
    });
    let shown = serde_json::to_string_pretty(&shown);
    table::line(&shown.map_err(|error| Failure::platform("no JSON of it").because(&error))?)
}

async fn remove(name: &str, arguments: &LibraryArguments) -> Result<Exit, Failure> {
    let (library, image) = find(name, arguments).await?;
    library.store().remove(image).await.map_err(|error| store_failed(&error))?;
    tell(format_args!(
        "firesteel: removed {name}; `firesteel image collect --rotate` frees its space in the end"
    ));
    Ok(Exit::Success)
}

async fn verify(name: &str, arguments: &LibraryArguments) -> Result<Exit, Failure> {
    let (library, image) = find(name, arguments).await?;
    let verified = library.store().verify(image).await.map_err(|error| open_failed(name, &error))?;
    for error in &verified.damaged {
        tell(format_args!("firesteel: {}", Failure::from_error(Exit::FunctionFailed, error)));
    }
    tell(format_args!(
        "firesteel: {} of {} chunks are in order, {}",
        verified.chunks - verified.damaged.len(),
        verified.chunks,
        HumanBytes(verified.stored_bytes)
    ));
    Ok(if verified.damaged.is_empty() { Exit::Success } else { Exit::FunctionFailed })
}

/// An image that is mounted, and the link to it. Dropped, both are gone; the last to go is the run's folder.
#[cfg(target_os = "linux")]
struct Mounted {
    link: Link,
    loaded: Arc<LoadedImage>,
    loader: Arc<Loader>,
    _data: DataFolder,
}

#[cfg(target_os = "linux")]
async fn mount(name: &str, link: &std::path::Path, arguments: &LibraryArguments) -> Result<Mounted, Failure> {
    let (library, image) = find(name, arguments).await?;
    let data = DataFolder::open(arguments.data.as_deref())?;
    let tiers = images::tiers(&arguments.images, &data.images())?;
    let loader = images::loader(library, tiers, data.mounts()).await?;
    let loaded = loader.load(image).await.map_err(|error| {
        Failure::from_error(Exit::Platform, &error).try_next("firesteel image verify, or firesteel doctor")
    })?;
    std::os::unix::fs::symlink(loaded.root(), link).map_err(|error| {
        Failure::usage(format!("{} cannot be made", link.display()))
            .because(&error)
            .try_next("a path that is not there yet, in a folder that you may write to")
    })?;
    let link = Link(link.to_owned());
    tell(format_args!("firesteel: the files of {name} are in {}; Ctrl-C ends it", link.0.display()));
    Ok(Mounted { link, loaded, loader, _data: data })
}

#[cfg(target_os = "linux")]
impl Mounted {
    /// Waits until it is unmounted.
    async fn end(self) {
        let Mounted { link, loaded, loader, _data } = self;
        drop(link);
        drop(loaded);
        loader.unmounted().await;
    }
}

#[cfg(not(target_os = "linux"))]
struct Mounted;

#[cfg(not(target_os = "linux"))]
async fn mount(_: &str, _: &std::path::Path, _: &LibraryArguments) -> Result<Mounted, Failure> {
    Err(Failure::usage("images are mounted on Linux only"))
}

#[cfg(not(target_os = "linux"))]
impl Mounted {
    async fn end(self) {}
}

/// Removed when dropped.
#[cfg(target_os = "linux")]
struct Link(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Drop for Link {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a link to an image is still there");
        }
    }
}

async fn stats(arguments: &LibraryArguments, as_json: bool) -> Result<Exit, Failure> {
    let library = images::library_of(arguments).await?;
    let stats = library.store().stats().await.map_err(|error| store_failed(&error))?;
    let Stats { images, logical_bytes, unshared_bytes, live_bytes, live_chunks, shared_chunks, .. } = stats;
    if as_json {
        let shown = json!({
            "Images": images,
            "LogicalBytes": logical_bytes,
            "UnsharedBytes": unshared_bytes,
            "LiveBytes": live_bytes,
            "LiveChunks": live_chunks,
            "SharedChunks": shared_chunks,
            "StoredBytes": stats.stored_bytes,
            "StoredChunks": stats.stored_chunks,
            "Deduplication": stats.deduplication(),
        });
        return table::line(&shown.to_string());
    }
    table::line(&format!(
        "{images} images of {}, {} of it not zeros\n{} in {live_chunks} chunks, of which {shared_chunks} are of several images: \
         {:.2} times as much without sharing\n{} in {} chunks are stored",
        HumanBytes(logical_bytes),
        HumanBytes(unshared_bytes),
        HumanBytes(live_bytes),
        stats.deduplication(),
        HumanBytes(stats.stored_bytes),
        stats.stored_chunks,
    ))
}

async fn collect(
    arguments: &LibraryArguments,
    rotate: bool,
    new_salt: bool,
    as_json: bool,
) -> Result<Exit, Failure> {
    let library = images::library_of(arguments).await?;
    let store = library.store();
    if rotate {
        store.rotate(new_salt).await.map_err(|error| store_failed(&error))?;
    }
    let done = store.collect().await.map_err(|error| store_failed(&error))?;
    for (image, error) in &done.stuck {
        let stuck = Failure::usage(format!("image {image} could not be moved")).because(error);
        tell(stuck.try_next(format!("firesteel image remove {image}, and add it again")));
    }
    for root in &done.alarmed {
        tell(format_args!(
            "firesteel: epoch {root} was read after nothing referred to it any more, and is kept: a server has images that \
             the store does not know of"
        ));
    }
    let roots = |roots: &[firesteel_image::manifest::RootId]| -> Vec<String> {
        roots.iter().map(ToString::to_string).collect()
    };
    let (expired, deleted) = (roots(&done.expired), roots(&done.deleted));
    if as_json {
        let alarmed = roots(&done.alarmed);
        let shown = json!({"Moved": done.moved, "Expired": expired, "Deleted": deleted, "Alarmed": alarmed});
        table::line(&shown.to_string())?;
    } else {
        table::line(&format!(
            "{} images moved, {} epochs expired, {} deleted",
            done.moved,
            expired.len(),
            deleted.len()
        ))?;
    }
    Ok(if done.stuck.is_empty() && done.alarmed.is_empty() { Exit::Success } else { Exit::FunctionFailed })
}

async fn find(name: &str, arguments: &LibraryArguments) -> Result<(Library, ImageId), Failure> {
    let library = images::library_of(arguments).await?;
    // As it is called if it was added by this reference, wherever and in whichever form that was typed.
    let called = images::reference(name, &arguments.images).map(|reference| reference.to_string());
    let mut found = None;
    for name in called.as_deref().into_iter().chain([name]) {
        if found.is_none() {
            found = library.find(name).await.map_err(|error| store_failed(&error))?;
        }
    }
    match found {
        Some(image) => Ok((library, image)),
        None => Err(Failure::usage(format!("no image is called {name}, or several are"))
            .try_next("firesteel image list, for those there are")),
    }
}

fn not_added(reference: &str, error: &AddError) -> Failure {
    let what = format!("{reference} cannot be added");
    let failure = match error.fault() {
        Fault::Missing | Fault::Denied | Fault::Invalid => Failure::usage(what),
        Fault::Failed => Failure::platform(what),
    };
    failure.because(error)
}

fn open_failed(name: &str, error: &OpenError) -> Failure {
    Failure::platform(format!("{name} cannot be read"))
        .because(error)
        .try_next(format!("firesteel image verify {name}"))
}

fn store_failed(error: &dyn std::error::Error) -> Failure {
    Failure::platform("the store of images cannot be used").because(error)
}

/// A bar for each layer, on a terminal.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    layers: Mutex<Vec<ProgressBar>>,
}

impl Bars {
    fn with(&self, layer: usize, act: impl FnOnce(&ProgressBar)) {
        let layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = layers.get(layer) {
            act(bar);
        }
    }

    fn clear(&self) {
        // A terminal that cannot be cleared has lines too many, no more.
        let _ = self.all.clear();
    }
}

impl Progress for Bars {
    fn layers(&self, compressed_bytes: &[u64]) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {bytes}/{total_bytes}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bars = compressed_bytes.iter().enumerate().map(|(number, bytes)| {
            let bar = self.all.add(ProgressBar::new(*bytes).with_style(style.clone()));
            bar.with_prefix(format!("layer {}", number + 1))
        });
        *self.layers.lock().unwrap_or_else(PoisonError::into_inner) = bars.collect();
    }

    fn downloaded(&self, layer: usize, bytes: u64) {
        self.with(layer, |bar| bar.set_position(bytes));
    }

    fn ready(&self, layer: usize) {
        self.with(layer, ProgressBar::finish);
    }
}
