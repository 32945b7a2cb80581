//! What to type next, for errors of the crates below. They say what is wrong; only this crate knows the flags.

use firesteel_image::{LayersError, UnpackError};
use firesteel_runtimes::{DetectError, LaunchError};

pub(crate) fn on_detection(error: &DetectError) -> String {
    match error {
        DetectError::Runtime(_) => "--runtime with one of those, or without it: it is found out".into(),
        DetectError::Interpreter(error) => error.advice.clone(),
        DetectError::NothingFound { example, .. } | DetectError::Ambiguous { example, .. } => example.clone(),
        DetectError::Unreadable { path, .. } => format!("chmod u+r {}", path.display()),
    }
}

pub(crate) fn on_launch(error: &LaunchError) -> String {
    match error {
        LaunchError::NoBootstrap { .. } => {
            "name the executable `bootstrap`, or give it itself as the target".into()
        }
        LaunchError::NotExecutable { on_host, .. } => format!("chmod +x {}", on_host.display()),
        LaunchError::LinkLeadsOutside { .. } => {
            "a copy in place of the link, or the program itself as the target".into()
        }
        LaunchError::Interpreter(error) => error.advice.clone(),
        LaunchError::NotUtf8 { .. } | LaunchError::Colon { .. } => "a folder of another name".into(),
    }
}

pub(crate) fn on_unpacking(error: &UnpackError) -> &'static str {
    match error {
        UnpackError::TooLarge { .. } | UnpackError::TooMany { .. } => {
            "leave out what the function does not need to run"
        }
        UnpackError::Open { .. } | UnpackError::Occupied { .. } | UnpackError::Write { .. } => {
            "a package that you may read, and --data DIR with a folder that you may write to"
        }
        UnpackError::Archive { .. }
        | UnpackError::Read { .. }
        | UnpackError::Encrypted { .. }
        | UnpackError::Compression { .. }
        | UnpackError::Path { .. }
        | UnpackError::Conflict { .. }
        | UnpackError::Special { .. }
        | UnpackError::Link { .. } => "pack it again, from inside the folder: zip -r ../function.zip .",
    }
}

pub(crate) fn on_layers(error: &LayersError) -> &'static str {
    match error {
        LayersError::TooMany { .. } => "fewer layers: what two of them hold can lie in one",
        LayersError::Open(_) | LayersError::Program { .. } => "--layer with a folder or a .zip",
        LayersError::Layer { source, .. } | LayersError::Stack(source) => on_unpacking(source),
    }
}
