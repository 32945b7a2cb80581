//! The life of a function: `life ENDPOINT FOLDER RUNTIME`, where the folder has `first.zip` and `second.zip`, the packages
//! that `lives/stage.py` makes, and the file `notes`.
//!
//! Each step is told in a line, `ok NAME` or `FAILED NAME: WHY`; `rust_life.py` reads them. A step uses what earlier ones
//! have made. Errors are looked at as users of the SDK do: by the type that they have for their operation.

mod functions;
mod settings;
mod versions;

use std::error::Error;
use std::path::PathBuf;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{Credentials, Region};
use aws_sdk_lambda::error::{DisplayErrorContext, SdkError};
use aws_sdk_lambda::primitives::Blob;

const FUNCTION: &str = "life";
const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:life";
const ROLE: &str = "arn:aws:iam::000000000000:role/lives";

/// How a step ends: well, or with what was seen instead.
type Outcome = Result<(), String>;

struct Life {
    client: Client,
    folder: PathBuf,
    runtime: String,
}

impl Life {
    fn package(&self, release: &str) -> Result<Blob, String> {
        let bytes =
            std::fs::read(self.folder.join(format!("{release}.zip"))).map_err(|error| error.to_string())?;
        Ok(Blob::new(bytes))
    }

    /// What the function returned to `event`, which it must not fail on; and the version that ran.
    async fn invoke(&self, event: &str, qualifier: &str) -> Result<(String, String), String> {
        let invoke =
            self.client.invoke().function_name(FUNCTION).qualifier(qualifier).payload(Blob::new(event));
        let answer = invoke.send().await.map_err(told)?;
        let payload = answer
            .payload()
            .map(|blob| String::from_utf8_lossy(blob.as_ref()).into_owned())
            .unwrap_or_default();
        match answer.function_error() {
            None => Ok((payload, answer.executed_version().unwrap_or_default().to_owned())),
            Some(kind) => Err(format!("{kind}: {payload}")),
        }
    }
}

/// An error with all that led to it, in a line.
fn told<E: Error + 'static, R: std::fmt::Debug + 'static>(error: SdkError<E, R>) -> String {
    DisplayErrorContext(error).to_string().replace('\n', " ")
}

fn equal<T: PartialEq + std::fmt::Debug>(seen: T, wanted: T, what: &str) -> Outcome {
    if seen == wanted { Ok(()) } else { Err(format!("{what}: {wanted:?} wanted, {seen:?} seen")) }
}

fn holds(condition: bool, what: &str) -> Outcome {
    if condition { Ok(()) } else { Err(what.to_owned()) }
}

/// The operation must be refused, with the error that `is` knows.
fn refused<T: std::fmt::Debug, E: Error + 'static, R: std::fmt::Debug + 'static>(
    answer: Result<T, SdkError<E, R>>,
    is: impl Fn(&E) -> bool,
    what: &str,
) -> Outcome {
    match answer {
        Ok(answer) => Err(format!("{what} wanted, {answer:?} seen")),
        Err(error) if error.as_service_error().is_some_and(is) => Ok(()),
        Err(error) => Err(format!("{what} wanted, {} seen", told(error))),
    }
}

fn tell(step: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("ok       {step}"),
        Err(why) => println!("FAILED   {step}: {why}"),
    }
}

fn client(endpoint: &str) -> Result<Client, std::env::VarError> {
    let keys = Credentials::new(
        std::env::var("AWS_ACCESS_KEY_ID")?,
        std::env::var("AWS_SECRET_ACCESS_KEY")?,
        None,
        None,
        "lives",
    );
    let config = aws_sdk_lambda::Config::builder()
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(keys)
        // An answer is observed as it is.
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Ok(Client::from_conf(config.build()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [endpoint, folder, runtime] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "ENDPOINT FOLDER RUNTIME")?;
    let life = &Life { client: client(&endpoint)?, folder: folder.into(), runtime };
    tell("create function", functions::create(life).await);
    tell("wait until it is active", functions::becomes_active(life).await);
    tell("get function", functions::get(life).await);
    tell("create it twice", functions::create_twice(life).await);
    tell("create what may not be", functions::create_wrong(life).await);
    tell("unknown function", functions::unknown(life).await);
    tell("list functions page by page", functions::list(life).await);
    tell("invoke", functions::invoke(life).await);
    tell("invoke with log", functions::invoke_with_log(life).await);
    tell("invoke what fails", functions::invoke_failing(life).await);
    tell("invoke asynchronously, and as a trial", functions::invoke_otherwise(life).await);
    tell("invoke with response stream", functions::invoke_streaming(life).await);
    tell("update configuration", functions::update_configuration(life).await);
    tell("publish version", versions::publish(life).await);
    tell("update code", versions::update_code(life).await);
    tell("invoke a version", versions::invoke(life).await);
    tell("list versions page by page", versions::list(life).await);
    tell("route an alias to two versions", versions::route(life).await);
    tell("alias that is not there", versions::unknown_alias(life).await);
    tell("layers", versions::layers(life).await);
    tell("tag", settings::tag(life).await);
    tell("permit", settings::permit(life).await);
    tell("reserve concurrency", settings::reserve(life).await);
    tell("provision concurrency", settings::provision(life).await);
    tell("settle asynchronous invocation", settings::settle(life).await);
    tell("function url", settings::url(life).await);
    tell("map an event source", settings::map(life).await);
    tell("account settings", settings::account(life).await);
    tell("delete it", functions::delete(life).await);
    Ok(())
}
