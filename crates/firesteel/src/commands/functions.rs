//! `firesteel functions`, `versions` and `aliases`: what a server has.
//!
//! Lists of the API do not tell states, so these tables have none.

use serde_json::Value;

use crate::cli::{FunctionsArguments, OfFunctionArguments};
use crate::client::{Client, part};
use crate::exit::{Exit, Failure};
use crate::table::{self, Column, text};

const FUNCTIONS: &[Column] = &[
    ("NAME", |item| text(item, "FunctionName")),
    ("RUNTIME", runtime),
    ("HANDLER", |item| text(item, "Handler")),
    ("MEMORY MB", |item| text(item, "MemorySize")),
    ("TIMEOUT S", |item| text(item, "Timeout")),
    ("MODIFIED", modified),
];

const VERSIONS: &[Column] = &[
    ("VERSION", |item| text(item, "Version")),
    ("RUNTIME", runtime),
    ("MEMORY MB", |item| text(item, "MemorySize")),
    ("CODE BYTES", |item| text(item, "CodeSize")),
    ("MODIFIED", modified),
    ("DESCRIPTION", |item| text(item, "Description")),
];

const ALIASES: &[Column] = &[
    ("ALIAS", |item| text(item, "Name")),
    ("VERSION", |item| text(item, "FunctionVersion")),
    ("ALSO", also),
    ("DESCRIPTION", |item| text(item, "Description")),
];

pub(crate) async fn functions(arguments: FunctionsArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.server)?;
    let items = client.list("/2015-03-31/functions", "Functions").await?;
    table::print(&items, FUNCTIONS, arguments.json)
}

pub(crate) async fn versions(arguments: OfFunctionArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.server)?;
    let path = format!("/2015-03-31/functions/{}/versions", part(&arguments.name));
    let items = client.list(&path, "Versions").await?;
    table::print(&items, VERSIONS, arguments.json)
}

pub(crate) async fn aliases(arguments: OfFunctionArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.server)?;
    let path = format!("/2015-03-31/functions/{}/aliases", part(&arguments.name));
    let items = client.list(&path, "Aliases").await?;
    table::print(&items, ALIASES, arguments.json)
}

/// Images have none.
fn runtime(item: &Value) -> String {
    match item.get("PackageType").and_then(Value::as_str) {
        Some("Image") => "image".to_owned(),
        _ => text(item, "Runtime"),
    }
}

/// To the second: `2026-11-21T20:00:00`.
fn modified(item: &Value) -> String {
    let modified = text(item, "LastModified");
    modified.split('.').next().unwrap_or_default().to_owned()
}

/// The second version of an alias, and its share: `3 at 10 %`.
fn also(item: &Value) -> String {
    let weights = item.pointer("/RoutingConfig/AdditionalVersionWeights").and_then(Value::as_object);
    let parts: Vec<String> = weights
        .into_iter()
        .flatten()
        .filter_map(|(version, weight)| Some(format!("{version} at {} %", weight.as_f64()? * 100.0)))
        .collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_made_for_people() {
        assert_eq!(runtime(&json!({"PackageType": "Image"})), "image");
        assert_eq!(runtime(&json!({"PackageType": "Zip", "Runtime": "python3.13"})), "python3.13");
        assert_eq!(modified(&json!({"LastModified": "2026-11-21T20:00:01.123+0000"})), "2026-11-21T20:00:01");
        let weights = json!({"RoutingConfig": {"AdditionalVersionWeights": {"3": 0.25}}});
        assert_eq!(also(&weights), "3 at 25 %");
        assert_eq!(also(&json!({"RoutingConfig": {}})), "-");
    }
}
