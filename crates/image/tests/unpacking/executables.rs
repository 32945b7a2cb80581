use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use firesteel_image::{Limits, UnpackError, package_from_executable};

use crate::{Workshop, assert_listing, listing};

fn program(workshop: &Workshop, mode: u32) -> std::path::PathBuf {
    fs::write(workshop.path("program"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(workshop.path("program"), Permissions::from_mode(mode)).unwrap();
    workshop.path("program")
}

#[test]
fn a_program_becomes_the_bootstrap() {
    let workshop = Workshop::new();
    let program = program(&workshop, 0o755);
    package_from_executable(&program, &workshop.path("code"), Limits::default()).unwrap();
    assert_listing(&listing(&workshop.path("code")), &[("bootstrap", "755 #!/bin/sh\n")]);
    let shared = fs::metadata(workshop.path("code/bootstrap")).unwrap().ino();
    assert_eq!(shared, fs::metadata(program).unwrap().ino());
}

#[test]
fn a_program_others_may_not_run_is_copied() {
    for mode in [0o700, 0o6755] {
        let workshop = Workshop::new();
        let program = program(&workshop, mode);
        package_from_executable(&program, &workshop.path("code"), Limits::default()).unwrap();
        assert_listing(&listing(&workshop.path("code")), &[("bootstrap", "755 #!/bin/sh\n")]);
        assert_eq!(fs::metadata(program).unwrap().permissions().mode() & 0o7777, mode);
    }
}

#[test]
fn a_link_to_a_program_is_followed() {
    let workshop = Workshop::new();
    symlink(program(&workshop, 0o755), workshop.path("link")).unwrap();
    package_from_executable(&workshop.path("link"), &workshop.path("code"), Limits::default()).unwrap();
    assert_listing(&listing(&workshop.path("code")), &[("bootstrap", "755 #!/bin/sh\n")]);
}

#[test]
fn a_program_may_be_too_large_or_missing() {
    let workshop = Workshop::new();
    let limits = Limits { unpacked_bytes: 9, ..Limits::default() };
    for mode in [0o755, 0o700] {
        let refused = package_from_executable(&program(&workshop, mode), &workshop.path("code"), limits);
        assert!(matches!(refused, Err(UnpackError::TooLarge { .. })));
        workshop.assert_only(&["neighbour", "program"]);
    }
    let missing = package_from_executable(&workshop.path("none"), &workshop.path("code"), limits);
    assert!(matches!(missing, Err(UnpackError::Open { .. })));
}
