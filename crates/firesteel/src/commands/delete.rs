//! `firesteel delete NAME [--version N | --alias NAME]`.

use http::Method;

use crate::cli::DeleteArguments;
use crate::client::{Client, part};
use crate::exit::{Exit, Failure};
use crate::notice::tell;

pub(crate) async fn run(arguments: DeleteArguments) -> Result<Exit, Failure> {
    let DeleteArguments { name, version, alias, server } = arguments;
    let client = Client::new(&server)?;
    let function = format!("/2015-03-31/functions/{}", part(&name));
    let (path, what) = match (&version, &alias) {
        (Some(version), _) => {
            (format!("{function}?Qualifier={}", part(version)), format!("version {version} of {name}"))
        }
        (None, Some(alias)) => {
            (format!("{function}/aliases/{}", part(alias)), format!("alias {alias} of {name}"))
        }
        (None, None) => (function.clone(), format!("{name} with all its versions")),
    };
    // What is not there is deleted, as the API has it; a person has mistyped.
    let (known, list) = match (&version, &alias) {
        (Some(version), _) => (format!("{function}/configuration?Qualifier={}", part(version)), "versions"),
        (None, _) => (path.clone(), "aliases"),
    };
    if path != function && client.find(&known).await?.is_none() {
        return Err(Failure::usage(format!("there is no {what}"))
            .try_next(format!("firesteel {list} {name}, for those there are")));
    }
    client.call(Method::DELETE, &path, None).await?;
    tell(format_args!("firesteel: deleted {what}"));
    Ok(Exit::Success)
}
