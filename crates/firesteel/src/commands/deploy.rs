//! `firesteel deploy TARGET`: makes a function of a server, or gives it new code and settings.
//!
//! ```text
//!  TARGET ─► runtime and handler, found out as `serve` does ─► archive ─┬─ unknown name ─► CreateFunction ─────────────┐
//!  or an image in a registry, as it is                                  └─ known ─► UpdateFunctionCode ─► Configuration ├─► Active
//!  `firesteel publish NAME` ─► PublishVersion ◄──────────────────────── --publish ◄────────────────────────────────────┘
//! ```
//!
//! Of a function that is there already, only those settings change that were given.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use firesteel_image::{Limits, Package};
use firesteel_runtimes::Interpreters;
use http::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::advice;
use crate::archive;
use crate::cli::{DeployArguments, PublishArguments};
use crate::client::{Client, part};
use crate::exit::{Exit, Failure};
use crate::function::name_of;
use crate::notice::tell;
use crate::table;
use crate::target::{self, Target};
use crate::variables_file;

/// How often a function that is being made ready is looked at, and for how long.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run(arguments: DeployArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.server)?;
    let name = name_of(arguments.name.as_deref(), &arguments.target)?.to_string();
    let code = Code::of(&arguments)?;
    let function = format!("/2015-03-31/functions/{}", part(&name));
    let settings = settings(&arguments)?;
    let known = client.find(&format!("{function}/configuration")).await?;
    match known {
        None => create(&client, &name, &arguments, code, settings).await?,
        Some(_) => update(&client, &function, &arguments, code, settings).await?,
    }
    let mut ready = settled(&client, &function).await?;
    if arguments.publish {
        ready = publish_version(&client, &name, None).await?;
    }
    report(&ready, arguments.json)
}

pub(crate) async fn publish(arguments: PublishArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.server)?;
    let version = publish_version(&client, &arguments.name, arguments.description.as_deref()).await?;
    report(&version, arguments.json)
}

/// What is deployed.
enum Code {
    /// An archive, and how it is run.
    Package { archive: Vec<u8>, runtime: String, handler: String },
    /// An image, which says that itself, by its reference.
    Image { uri: String },
}

impl Code {
    fn of(arguments: &DeployArguments) -> Result<Self, Failure> {
        match Target::of(&arguments.target)? {
            Target::Path(path) => Self::of_package(arguments, path),
            Target::Image(uri) => Self::of_image(arguments, uri),
        }
    }

    /// The server gets it, from where it is.
    fn of_image(arguments: &DeployArguments, uri: String) -> Result<Self, Failure> {
        let DeployArguments { handler, runtime, layer, .. } = arguments;
        if handler.is_some() || runtime.is_some() || !layer.is_empty() {
            return Err(Failure::usage(format!(
                "the image {uri} says itself how it is started and what is in it"
            ))
            .try_next("without --handler, --runtime and --layer"));
        }
        if target::is_local(&uri) {
            return Err(Failure::usage(format!(
                "the image {uri} is on this machine, which servers do not read"
            ))
            .try_next(format!("firesteel serve {uri}, or an image in a registry")));
        }
        Ok(Code::Image { uri })
    }

    fn of_package(arguments: &DeployArguments, target: &Path) -> Result<Self, Failure> {
        let package = Package::open(target).map_err(|error| {
            Failure::from_error(Exit::Usage, &error)
                .try_next("a folder with the function's code, a .zip of it, or an executable")
        })?;
        let scratch = TempDir::new()
            .map_err(|error| Failure::platform("no temporary folder could be made").because(&error))?;
        let unpacked = scratch.path().join("code");
        let unusable = |error: firesteel_image::UnpackError| {
            Failure::usage(format!("the package {} cannot be used", target.display()))
                .because(&error)
                .try_next(advice::on_unpacking(&error))
        };
        let limits = Limits::default();
        let folder = match &package {
            Package::Folder(folder) => {
                firesteel_image::measure(folder, limits).map_err(unusable)?;
                folder.as_path()
            }
            Package::Zip(archive) => {
                firesteel_image::unpack_zip(archive, &unpacked, limits).map_err(unusable)?;
                &unpacked
            }
            Package::Executable(program) => {
                firesteel_image::package_from_executable(program, &unpacked, limits).map_err(unusable)?;
                &unpacked
            }
        };
        let detected = firesteel_runtimes::detect(
            folder,
            None,
            arguments.runtime.as_deref(),
            arguments.handler.as_deref(),
            &Interpreters::of_host(),
        )
        .map_err(|error| Failure::from_error(Exit::Usage, &error).try_next(advice::on_detection(&error)))?;
        tell(format_args!("firesteel: {}", detected.why));
        let archive = match &package {
            // As it is: its digest is the one that its author knows.
            Package::Zip(archive) => std::fs::read(archive),
            Package::Folder(_) | Package::Executable(_) => archive::of_folder(folder),
        };
        let archive = archive.map_err(|error| {
            Failure::usage(format!("the package {} cannot be read", target.display())).because(&error)
        })?;
        Ok(Code::Package { archive, runtime: detected.runtime.to_string(), handler: detected.handler })
    }
}

impl Code {
    /// By the API's names.
    fn members(&self) -> Value {
        match self {
            Code::Package { archive, .. } => json!({ "ZipFile": BASE64_STANDARD.encode(archive) }),
            Code::Image { uri } => json!({ "ImageUri": uri }),
        }
    }
}

/// What was given on the command line, by the API's names.
fn settings(arguments: &DeployArguments) -> Result<Map<String, Value>, Failure> {
    let mut settings = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            settings.insert(name.to_owned(), value);
        }
    };
    set("MemorySize", arguments.memory.map(Value::from));
    set("Timeout", arguments.timeout.map(Value::from));
    set("EphemeralStorage", arguments.ephemeral_storage.map(|size| json!({ "Size": size })));
    set("Description", arguments.description.clone().map(Value::from));
    set("Role", arguments.role.clone().map(Value::from));
    set("Layers", (!arguments.layer.is_empty()).then(|| Value::from(arguments.layer.clone())));
    let variables: BTreeMap<String, String> =
        variables_file::read(arguments.env_file.as_deref(), &arguments.env)?;
    set("Environment", (!variables.is_empty()).then(|| json!({ "Variables": variables })));
    Ok(settings)
}

async fn create(
    client: &Client,
    name: &str,
    arguments: &DeployArguments,
    code: Code,
    mut settings: Map<String, Value>,
) -> Result<(), Failure> {
    let role = || Value::from(format!("arn:aws:iam::{}:role/firesteel", arguments.account_id));
    settings.entry("Role").or_insert_with(role);
    settings.insert("FunctionName".into(), name.into());
    match &code {
        Code::Package { runtime, handler, .. } => {
            settings.insert("Runtime".into(), runtime.as_str().into());
            settings.insert("Handler".into(), handler.as_str().into());
        }
        Code::Image { .. } => {
            settings.insert("PackageType".into(), "Image".into());
        }
    }
    settings.insert("Code".into(), code.members());
    client.call(Method::POST, "/2015-03-31/functions", Some(&Value::Object(settings))).await?;
    Ok(())
}

async fn update(
    client: &Client,
    function: &str,
    arguments: &DeployArguments,
    code: Code,
    mut settings: Map<String, Value>,
) -> Result<(), Failure> {
    client.call(Method::PUT, &format!("{function}/code"), Some(&code.members())).await?;
    settled(client, function).await?;
    if let Code::Package { runtime, handler, .. } = code {
        if arguments.runtime.is_some() {
            settings.insert("Runtime".into(), runtime.into());
        }
        if arguments.handler.is_some() {
            settings.insert("Handler".into(), handler.into());
        }
    }
    if !settings.is_empty() {
        let settings = Value::Object(settings);
        client.call(Method::PUT, &format!("{function}/configuration"), Some(&settings)).await?;
    }
    Ok(())
}

/// The function once it can be invoked. One that never can is told of with its reason.
async fn settled(client: &Client, function: &str) -> Result<Value, Failure> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let now = client.call(Method::GET, &format!("{function}/configuration"), None).await?;
        let member = |name: &str| now.get(name).and_then(Value::as_str).unwrap_or_default();
        match (member("State"), member("LastUpdateStatus")) {
            ("Failed", _) => return Err(unready(member("StateReason"))),
            (_, "Failed") => return Err(unready(member("LastUpdateStatusReason"))),
            ("Pending", _) | (_, "InProgress") if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            ("Pending", _) | (_, "InProgress") => return Err(unready("it takes too long")),
            _ => return Ok(now),
        }
    }
}

fn unready(reason: &str) -> Failure {
    Failure::platform(format!("the function was deployed and cannot be invoked: {reason}"))
}

async fn publish_version(client: &Client, name: &str, description: Option<&str>) -> Result<Value, Failure> {
    let body = match description {
        Some(description) => json!({ "Description": description }),
        None => json!({}),
    };
    client.call(Method::POST, &format!("/2015-03-31/functions/{}/versions", part(name)), Some(&body)).await
}

/// The ARN on stdout, so that it can be used in the next command; or all that the server tells.
fn report(function: &Value, json: bool) -> Result<Exit, Failure> {
    table::line(&if json { function.to_string() } else { table::text(function, "FunctionArn") })
}
