use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use firesteel_image::{LayersError, Limits, UnpackError, Unpacked, measure, stack_layers};

use crate::crafted::{Entry, archive};
use crate::{Workshop, assert_listing, chain, listing};

impl Workshop {
    fn zip_layer(&self, name: &str, entries: &[Entry]) -> PathBuf {
        fs::write(self.path(name), archive(entries)).unwrap();
        self.path(name)
    }

    fn folder_layer(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        for (file, content) in files {
            let path = self.path(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.path(name)
    }

    fn stack(&self, layers: &[PathBuf]) -> Result<Unpacked, LayersError> {
        stack_layers(layers, &self.path("opt"), Limits::default())
    }
}

#[test]
fn a_later_layer_replaces_what_an_earlier_one_brought() {
    let workshop = Workshop::new();
    let layers = [
        workshop.zip_layer("1.zip", &[Entry::file("python/a.py", "1"), Entry::file("python/b.py", "1")]),
        workshop.folder_layer("2", &[("python/b.py", "2"), ("bin/tool", "2")]),
        workshop.zip_layer("3.zip", &[Entry::file("bin/tool", "3").mode(0o755)]),
    ];
    let size = workshop.stack(&layers).unwrap();
    assert_eq!(size.bytes, 5, "what was replaced counts too");
    assert_listing(
        &listing(&workshop.path("opt")),
        &[
            ("bin", "755 /"),
            ("bin/tool", "755 3"),
            ("python", "755 /"),
            ("python/a.py", "644 1"),
            ("python/b.py", "644 2"),
        ],
    );
}

#[test]
fn a_later_layer_may_change_what_kind_of_thing_a_path_is() {
    let workshop = Workshop::new();
    let layers = [
        workshop.zip_layer(
            "1.zip",
            &[
                Entry::file("a/x/y", "1"),
                Entry::file("a.b", "1"),
                Entry::file("b", "1"),
                Entry::link("c", "b"),
            ],
        ),
        workshop
            .zip_layer("2.zip", &[Entry::file("a", "2"), Entry::file("b/x", "2"), Entry::file("c/x", "2")]),
    ];
    workshop.stack(&layers).unwrap();
    assert_listing(
        &listing(&workshop.path("opt")),
        &[
            ("a", "644 2"),
            ("a.b", "644 1"),
            ("b", "755 /"),
            ("b/x", "644 2"),
            ("c", "755 /"),
            ("c/x", "644 2"),
        ],
    );
}

#[test]
fn links_are_judged_when_all_layers_are_there() {
    let workshop = Workshop::new();
    let first = workshop.zip_layer("1.zip", &[Entry::link("x", "d/../y"), Entry::folder("d/")]);
    let second = workshop.zip_layer("2.zip", &[Entry::link("d", "."), Entry::file("y", "")]);
    workshop.stack(std::slice::from_ref(&first)).unwrap();
    let error = stack_layers(&[first, second], &workshop.path("opt2"), Limits::default()).unwrap_err();
    assert!(chain(&error).contains("symbolic link `x`"), "{}", chain(&error));
    assert!(!workshop.path("opt2").exists());
}

#[test]
fn links_in_folders_obey_the_same_rule() {
    let workshop = Workshop::new();
    let folder = workshop.folder_layer("1", &[("lib/libx.so.1", "x")]);
    symlink("libx.so.1", folder.join("lib/libx.so")).unwrap();
    workshop.stack(std::slice::from_ref(&folder)).unwrap();
    assert_listing(
        &listing(&workshop.path("opt")),
        &[("lib", "755 /"), ("lib/libx.so", "-> libx.so.1"), ("lib/libx.so.1", "644 x")],
    );

    let absolute = workshop.path("neighbour");
    symlink(&absolute, folder.join("out")).unwrap();
    let error = stack_layers(&[folder], &workshop.path("opt2"), Limits::default()).unwrap_err();
    assert!(chain(&error).contains("the target is absolute"), "{}", chain(&error));
}

#[test]
fn what_is_no_layer_is_refused_by_name() {
    let workshop = Workshop::new();
    let layer = workshop.zip_layer("1.zip", &[Entry::file("a", "1")]);
    let error = workshop.stack(&vec![layer.clone(); 6]).unwrap_err();
    assert_eq!(error.to_string(), "Cannot reference more than 5 layers.");
    let error = workshop.stack(&[layer.clone(), workshop.path("none")]).unwrap_err();
    assert!(error.to_string().ends_with("none does not exist"), "{error}");

    let pipe = workshop.folder_layer("pipe", &[("a", "")]);
    let made = Command::new("mkfifo").arg(pipe.join("fifo")).status().unwrap();
    assert!(made.success());
    let error = workshop.stack(&[layer, pipe]).unwrap_err();
    assert!(chain(&error).contains("pipe: entry `fifo` is a named pipe"), "{}", chain(&error));
    assert!(!workshop.path("opt").exists());
}

#[test]
fn no_layers_make_an_empty_folder() {
    let workshop = Workshop::new();
    assert_eq!(workshop.stack(&[]).unwrap(), Unpacked::default());
    assert!(listing(&workshop.path("opt")).is_empty());
}

#[test]
fn function_and_layers_share_one_limit() {
    let workshop = Workshop::new();
    let code = workshop.folder_layer("code", &[("app.py", "12345")]);
    let layer = workshop.folder_layer("layer", &[("a", "12345")]);
    let limits = Limits { unpacked_bytes: 9, ..Limits::default() };
    let left = limits.after(measure(&code, limits).unwrap());
    let error = stack_layers(std::slice::from_ref(&layer), &workshop.path("opt"), left).unwrap_err();
    assert!(matches!(error, LayersError::Layer { source: UnpackError::TooLarge { .. }, .. }), "{error:?}");
    let limits = Limits { unpacked_bytes: 10, ..limits };
    let left = limits.after(measure(&code, limits).unwrap());
    stack_layers(&[layer], &workshop.path("opt"), left).unwrap();
}

#[test]
fn folders_are_measured_without_following_links() {
    let workshop = Workshop::new();
    let code = workshop.folder_layer("code", &[("a", "12345"), ("b/c", "123")]);
    symlink("/usr", code.join("usr")).unwrap();
    let size = measure(&code, Limits::default()).unwrap();
    assert_eq!(size, Unpacked { bytes: 12, entries: 4 });
    let limits = Limits { unpacked_bytes: 11, ..Limits::default() };
    assert!(matches!(measure(&code, limits), Err(UnpackError::TooLarge { .. })));
    let limits = Limits { entries: 3, ..Limits::default() };
    assert!(matches!(measure(&code, limits), Err(UnpackError::TooMany { .. })));
    assert!(matches!(measure(&workshop.path("none"), limits), Err(UnpackError::Open { .. })));
}
