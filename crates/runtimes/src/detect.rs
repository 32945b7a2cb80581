//! What a folder of code is, when its author did not say: which runtime, which handler.
//!
//! A guess is made only where the ecosystem's habits leave no doubt; anything else is an error that
//! names what was seen and what to type. The order:
//!
//! 1. A `bootstrap` in the code or the layers: `provided.al2023`.
//! 2. The language whose files offer a handler, with the newest interpreter installed.
//! 3. In that language the handler of the best rank (the console's default, then usual files, then
//!    others), if it is alone in it.
//!
//! For `provided*` the handler is only passed on in `_HANDLER`, and most programs ignore it; unless
//! given it is `function.handler`.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::interpreter::{InterpreterNotFound, Interpreters};
use crate::runtime::{AmazonLinux, Runtime, RuntimeError};
use crate::search::Language;
use crate::{nodejs, python};

const BOOTSTRAP: &str = "bootstrap";
/// What AWS's examples put in for programs that do not look at it.
const PROVIDED_HANDLER: &str = "function.handler";

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// The runtime.
    pub runtime: Runtime,
    /// What it is told to call.
    pub handler: String,
    /// One line for the person who started this: what was chosen, and from where.
    pub why: String,
}

/// Why it could not be found out. The folder's author can settle it with a flag.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The identifier given names no runtime of this host.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The language is clear, its interpreter is missing.
    #[error(transparent)]
    Interpreter(#[from] InterpreterNotFound),
    /// Nothing that looks like code, or no handler in it.
    #[error("no {missing} found in {}: looked for {}", folder.display(), tried.join(", "))]
    NothingFound {
        /// `runtime` or `handler`.
        missing: &'static str,
        /// The code.
        folder: PathBuf,
        /// What was looked for, and where.
        tried: Vec<String>,
        /// What to type.
        example: String,
    },
    /// More than one choice is as good as another.
    #[error("{} could be run in more than one way: {}", folder.display(), candidates.join(", "))]
    Ambiguous {
        /// The code.
        folder: PathBuf,
        /// Handlers, or runtimes.
        candidates: Vec<String>,
        /// What to type.
        example: String,
    },
    /// The folder, or a file in it.
    #[error("reading {}", path.display())]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A handler a file seems to have. The lower the rank, the surer.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) handler: String,
    pub(crate) rank: u8,
}

/// Finds out how to run the code in `code_folder`, with its layers in `opt_folder`.
///
/// What is wanted is taken as given, if this host can run it; only the rest is guessed.
pub fn detect(
    code_folder: &Path,
    opt_folder: Option<&Path>,
    wanted_runtime: Option<&str>,
    wanted_handler: Option<&str>,
    interpreters: &Interpreters,
) -> Result<Detected, DetectError> {
    let wanted = wanted_runtime.map(str::parse::<Runtime>).transpose()?;
    let bootstrap = [Some(code_folder), opt_folder]
        .into_iter()
        .flatten()
        .map(|folder| folder.join(BOOTSTRAP))
        .find(|path| path.is_file());

    let (runtime, reason, language) = match (wanted, bootstrap) {
        (Some(runtime @ Runtime::Provided(_)), _) => {
            return Ok(provided(runtime, "as asked for", wanted_handler));
        }
        (None, Some(bootstrap)) => {
            let reason = format!("found {}", bootstrap.display());
            return Ok(provided(Runtime::Provided(AmazonLinux::Al2023), &reason, wanted_handler));
        }
        (Some(runtime @ Runtime::Python { minor }), _) => {
            let program = interpreters.python(minor)?.program;
            (runtime, format!("as asked for, {}", program.display()), Language::Python)
        }
        (Some(runtime @ Runtime::Nodejs { major }), _) => {
            let program = interpreters.nodejs(major)?.program;
            (runtime, format!("as asked for, {}", program.display()), Language::Nodejs)
        }
        (None, None) => match Sources::read(code_folder)?.language(wanted_handler)? {
            Language::Python => {
                let newest = interpreters.newest_python()?;
                let reason = format!("newest Python found, {}", newest.program.display());
                (Runtime::Python { minor: newest.version.minor }, reason, Language::Python)
            }
            Language::Nodejs => {
                let newest = interpreters.newest_nodejs()?;
                let runtime = Runtime::Nodejs { major: newest.version.major };
                let offered = if runtime.is_known_to_aws() { "" } else { ", which AWS does not offer" };
                let reason = format!("newest Node.js found, {}{offered}", newest.program.display());
                (runtime, reason, Language::Nodejs)
            }
        },
    };

    let (handler, chosen) = match wanted_handler {
        Some(handler) => (handler.to_owned(), " as asked for"),
        None => (Sources::read(code_folder)?.handler(language)?, ""),
    };
    let why = format!("{runtime} ({reason}), handler {handler}{chosen}");
    Ok(Detected { runtime, handler, why })
}

fn provided(runtime: Runtime, reason: &str, wanted_handler: Option<&str>) -> Detected {
    let handler = wanted_handler.unwrap_or(PROVIDED_HANDLER).to_owned();
    let why = format!("{runtime} ({reason}), handler {handler} passed on in _HANDLER");
    Detected { runtime, handler, why }
}

/// The source files directly in a folder, and the one `package.json` calls the main one.
struct Sources {
    folder: PathBuf,
    python: Vec<String>,
    /// Name with ending. `package.json`'s `main` may lie deeper.
    nodejs: Vec<String>,
    /// Of `nodejs`.
    main: Option<String>,
    has_package_json: bool,
}

impl Sources {
    fn read(folder: &Path) -> Result<Self, DetectError> {
        let unreadable = |source| DetectError::Unreadable { path: folder.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // No source file of ours has a name that is not UTF-8: handlers could not name it.
            if let Ok(name) = entry.file_name().into_string()
                && entry.path().is_file()
            {
                names.push(name);
            }
        }
        names.sort();
        let main = main_of(&folder.join("package.json")).filter(|main| folder.join(main).is_file());
        let mut nodejs: Vec<_> = names.iter().filter(|name| nodejs::stem(name).is_some()).cloned().collect();
        nodejs.extend(main.clone().filter(|main| !nodejs.contains(main)));
        Ok(Sources {
            folder: folder.to_owned(),
            python: names.iter().filter(|name| python::is_code(name)).cloned().collect(),
            nodejs,
            main,
            has_package_json: names.iter().any(|name| name == "package.json"),
        })
    }

    /// The language of the code: the only one there is, or that of the wanted handler's file, or the
    /// only one that offers a handler.
    fn language(&self, wanted_handler: Option<&str>) -> Result<Language, DetectError> {
        let has_nodejs = !self.nodejs.is_empty() || self.has_package_json;
        match (!self.python.is_empty(), has_nodejs) {
            (true, false) => return Ok(Language::Python),
            (false, true) => return Ok(Language::Nodejs),
            (false, false) => {
                return Err(DetectError::NothingFound {
                    missing: "runtime",
                    folder: self.folder.clone(),
                    tried: ["bootstrap", "*.py", "*.mjs", "*.js", "*.cjs", "package.json"]
                        .map(String::from)
                        .into(),
                    example: "--runtime python3.13 --handler app.handler".to_owned(),
                });
            }
            (true, true) => {}
        }
        let speaks = |language| match wanted_handler {
            Some(handler) => Ok(self.has_file_of(language, handler)),
            None => self.offers(language).map(|offers| !offers.is_empty()),
        };
        match (speaks(Language::Python)?, speaks(Language::Nodejs)?) {
            (true, false) => Ok(Language::Python),
            (false, true) => Ok(Language::Nodejs),
            _ => Err(DetectError::Ambiguous {
                folder: self.folder.clone(),
                candidates: vec![
                    format!("as Python ({})", self.python.join(", ")),
                    format!("as Node.js ({})", self.nodejs.join(", ")),
                ],
                example: "--runtime python3.13".to_owned(),
            }),
        }
    }

    fn has_file_of(&self, language: Language, handler: &str) -> bool {
        // Node's file ends at the first dot of the last part of the path, Python's module at the last.
        let file = |file: &str, endings: &[&str]| {
            endings.iter().any(|ending| self.folder.join(format!("{file}{ending}")).is_file())
        };
        match language {
            Language::Python => handler
                .rsplit_once('.')
                .is_some_and(|(module, _)| file(&module.replace('.', "/"), &[".py", "/__init__.py"])),
            Language::Nodejs => {
                let name = handler.rfind('/').map_or(0, |slash| slash + 1);
                let end = handler[name..].find('.').map_or(handler.len(), |dot| name + dot);
                file(&handler[..end], &[".js", ".mjs", ".cjs"])
            }
        }
    }

    /// The handler of the best rank, if there is only one.
    fn handler(&self, language: Language) -> Result<String, DetectError> {
        let offers = self.offers(language)?;
        let best = offers.iter().map(|offer| offer.rank).min();
        let mut candidates: Vec<String> =
            offers.into_iter().filter(|offer| Some(offer.rank) == best).map(|offer| offer.handler).collect();
        // `index.js` beside `index.mjs` is one handler.
        candidates.dedup();
        match candidates.as_slice() {
            [handler] => Ok(handler.clone()),
            [] => {
                let (names, files, example) = match language {
                    Language::Python => {
                        ("`def lambda_handler` or `def handler`", &self.python, "app.lambda_handler")
                    }
                    Language::Nodejs => {
                        ("an exported `handler` or `lambdaHandler`", &self.nodejs, "index.handler")
                    }
                };
                let tried = match files.is_empty() {
                    true => format!("{names}, but there are no source files"),
                    false => format!("{names} in {}", files.join(", ")),
                };
                Err(DetectError::NothingFound {
                    missing: "handler",
                    folder: self.folder.clone(),
                    tried: vec![tried],
                    example: format!("--handler {example}"),
                })
            }
            [first, ..] => {
                let example = format!("--handler {first}");
                Err(DetectError::Ambiguous { folder: self.folder.clone(), candidates, example })
            }
        }
    }

    fn offers(&self, language: Language) -> Result<Vec<Offer>, DetectError> {
        let files = match language {
            Language::Python => &self.python,
            Language::Nodejs => &self.nodejs,
        };
        let mut offers = Vec::new();
        for name in files {
            let path = self.folder.join(name);
            let bytes = fs::read(&path).map_err(|source| DetectError::Unreadable { path, source })?;
            let text = String::from_utf8_lossy(&bytes);
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            offers.extend(match language {
                Language::Python => python::offers(stem, &text),
                Language::Nodejs => nodejs::offers(stem, &text, self.main.as_ref() == Some(name)),
            });
        }
        Ok(offers)
    }
}

/// `main` of a `package.json`, as a path below its folder. Whatever is wrong with the file, the
/// runtime will say it better than a guess.
fn main_of(package_json: &Path) -> Option<String> {
    let package: serde_json::Value = serde_json::from_slice(&fs::read(package_json).ok()?).ok()?;
    let main = package.get("main")?.as_str()?.trim_start_matches("./");
    let inside = !main.starts_with('/') && !main.split('/').any(|part| part == "..");
    (inside && nodejs::stem(main).is_some()).then(|| main.to_owned())
}

impl fmt::Display for Detected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}
