//! Functions: created, looked at, changed, listed, deleted. Answers are those that were recorded of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::Method;
use firesteel_catalog::{AboutLayer, CodeDigest, NewLayerVersion};
use firesteel_image::{Limits, Sha256, StoreLimits};
use firesteel_invoke::{ImageError, ImageReference, Images, LoadedImage};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{
    FUNCTIONS, Given, PATIENCE, REGION, ROLE, Server, arn, comparable, new_function, test, test_with, with,
};
use crate::package;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_function_lives_from_its_creation_to_its_deletion", life),
        test("what_is_run_is_the_code_that_was_uploaded_last", runs),
        test("a_dry_run_shows_what_would_be_and_keeps_nothing", dry_run),
        test("an_update_can_be_published_at_once", published_update),
        test("functions_are_listed_with_or_without_their_versions", list),
        test("versions_are_deleted_one_by_one_or_all_together", delete),
        test("what_there_is_not_is_not_found", missing),
        test("what_no_function_can_be_called_is_not_found_either", names_of_nothing),
        test("functions_of_another_account_are_refused_without_a_word", of_another_account),
        test("what_cannot_be_a_function_is_refused", refused),
        test("a_revision_that_is_past_is_refused", revisions),
        test("a_function_of_an_image_says_why_it_cannot_run", image),
        test_with("an_image_is_resolved_once_and_only_its_code_changes_that", loading, resolved_image),
        test_with("an_image_that_cannot_be_had_is_told_by_awss_codes", loading, missing_image),
        test_with("an_image_that_has_to_wait_is_waited_for", busy, busy_image),
        test_with("a_server_ends_though_an_image_does_not_come", waiting, pending_image),
        test("a_runtime_that_is_not_here_is_told_by_the_state", runtime),
        test("what_the_catalog_refuses_does_not_stay_in_the_store", leftovers),
        test("a_caller_who_goes_away_leaves_no_function_pending", gone),
        test_with("code_and_layers_have_one_limit", small, too_large),
    ]
}

/// All that is shown of a function that was asked for with no more than it needs.
fn shown(name: &str, also: &Value) -> Value {
    let least = json!({
        "Architectures": ["x86_64"],
        "CodeSha256": "<sha256>",
        "CodeSize": "<size>",
        "Description": "",
        "EphemeralStorage": {"Size": 512},
        "FunctionArn": arn(&format!("function:{name}")),
        "FunctionName": name,
        "Handler": "h",
        "LastModified": "<date>",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}")},
        "MemorySize": 128,
        "PackageType": "Zip",
        "RevisionId": "<revision>",
        "Role": ROLE,
        "Runtime": "provided.al2023",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "Timeout": 3,
        "TracingConfig": {"Mode": "PassThrough"},
        "Version": "$LATEST",
    });
    with(least, also)
}

fn pending() -> Value {
    json!({
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "RuntimeVersionConfig": {"RuntimeVersionArn": "<runtime>"},
    })
}

fn active() -> Value {
    json!({
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "RuntimeVersionConfig": {"RuntimeVersionArn": "<runtime>"},
    })
}

fn updating() -> Value {
    json!({
        "State": "Active",
        "LastUpdateStatus": "InProgress",
        "LastUpdateStatusReason": "The function is being created.",
        "LastUpdateStatusReasonCode": "Creating",
        "RuntimeVersionConfig": {"RuntimeVersionArn": "<runtime>"},
    })
}

async fn life(server: Arc<Server>) {
    let path = &format!("{FUNCTIONS}/f");
    let archive = package::function("one");
    let asked = with(new_function("f"), json!({"Code": {"ZipFile": package::base64(&archive)}}));
    let created = server.post(FUNCTIONS, &asked).await.json(201);
    assert_eq!(comparable(&created), shown("f", &pending()));
    assert_eq!(created["CodeSha256"], package::code_sha256(&archive));
    assert_eq!(created["CodeSize"], archive.len());

    let settled = server.settled("f").await;
    assert_eq!(comparable(&settled), shown("f", &active()));
    assert_ne!(settled["RevisionId"], created["RevisionId"]);
    let whole = server.get(path).await.json(200);
    let code = json!({"Location": "<link>", "RepositoryType": "S3"});
    assert_eq!(comparable(&whole), json!({"Code": code, "Configuration": shown("f", &active())}));
    let latest = server.get(&format!("{path}?Qualifier=$LATEST")).await.json(200);
    assert_eq!(latest["Configuration"]["FunctionArn"], arn("function:f:$LATEST"));

    let update = json!({"Description": "d", "Timeout": 9, "Environment": {"Variables": {"KEY": "v"}}});
    let updated = server.put(&format!("{path}/configuration"), &update).await.json(200);
    let changed = json!({"Description": "d", "Timeout": 9, "Environment": {"Variables": {"KEY": "v"}}});
    assert_eq!(comparable(&updated), shown("f", &with(updating(), &changed)));
    assert_eq!(comparable(&server.settled("f").await), shown("f", &with(active(), &changed)));

    server.delete(path).await.nothing();
    let gone = server.get(path).await.refusal(404, "ResourceNotFoundException");
    assert_eq!(gone, format!("Function not found: {}", arn("function:f")));
}

async fn runs(server: Arc<Server>) {
    server.create("f").await;
    assert_eq!(server.invoke("f").await, json!({"event": {"n": 1}, "package": "f", "version": "$LATEST"}));
    let updated = server.update_code("f", "other", json!({"Architectures": ["arm64"]})).await;
    assert_eq!(updated["Architectures"], json!(["arm64"]));
    assert_eq!(updated["CodeSha256"], package::code_sha256(&package::function("other")));
    assert_eq!(server.invoke("f").await["package"], "other");
    // Nobody needs the first any more.
    let first = Sha256::of(&package::function("f"));
    assert!(server.code.zip(first).is_err());
}

async fn dry_run(server: Arc<Server>) {
    server.create("f").await;
    let before = server.get(&format!("{FUNCTIONS}/f")).await.json(200)["Configuration"].clone();
    let archive = package::function("other");
    let update = json!({"ZipFile": package::base64(&archive), "DryRun": true, "Publish": true});
    let would_be = server.put(&format!("{FUNCTIONS}/f/code"), &update).await.json(200);
    assert_eq!(would_be["CodeSha256"], package::code_sha256(&archive));
    assert_eq!(server.get(&format!("{FUNCTIONS}/f")).await.json(200)["Configuration"], before);
    assert!(server.code.zip(Sha256::of(&archive)).is_err());
    let no_archive = json!({"ZipFile": package::base64(b"no archive"), "DryRun": true});
    server
        .put(&format!("{FUNCTIONS}/f/code"), &no_archive)
        .await
        .refusal(400, "InvalidParameterValueException");
}

async fn published_update(server: Arc<Server>) {
    server.create("f").await;
    let update = json!({"ZipFile": package::base64(&package::function("other")), "Publish": true});
    let published = server.put(&format!("{FUNCTIONS}/f/code"), &update).await.json(200);
    let version = json!({"FunctionArn": arn("function:f:1"), "Version": "1"});
    assert_eq!(comparable(&published), shown("f", &with(pending(), &version)));
    assert_eq!(comparable(&server.settled("f:1").await), shown("f", &with(active(), &version)));
    assert_eq!(server.invoke("f:1").await["package"], "other");
}

async fn list(server: Arc<Server>) {
    for name in ["b", "a"] {
        server.create(name).await;
    }
    server.post(&format!("{FUNCTIONS}/a/versions"), &json!({})).await.json(201);
    let listed = server.get(FUNCTIONS).await.json(200);
    let latest = |name| shown(name, &json!({}));
    assert_eq!(comparable(&listed), json!({"Functions": [latest("a"), latest("b")]}));

    let all = server.get(&format!("{FUNCTIONS}/?FunctionVersion=ALL")).await.json(200);
    let qualified = |name, version: &str| {
        let arn = arn(&format!("function:{name}:{version}"));
        shown(name, &json!({"FunctionArn": arn, "Version": version}))
    };
    let expected = [qualified("a", "$LATEST"), qualified("a", "1"), qualified("b", "$LATEST")];
    assert_eq!(comparable(&all), json!({"Functions": expected}));

    let first = server.get(&format!("{FUNCTIONS}?MaxItems=1")).await.json(200);
    assert_eq!(first["Functions"][0]["FunctionName"], "a");
    let marker = first["NextMarker"].as_str().unwrap();
    let second = server.get(&format!("{FUNCTIONS}?MaxItems=1&Marker={marker}")).await.json(200);
    assert_eq!(second["Functions"][0]["FunctionName"], "b");
    assert_eq!(second.get("NextMarker"), None);
    server.get(&format!("{FUNCTIONS}?FunctionVersion=1")).await.refusal(400, "ValidationException");
}

async fn delete(server: Arc<Server>) {
    server.create("f").await;
    server.update_code("f", "one", json!({"Publish": true})).await;
    server.update_code("f", "two", json!({"Publish": true})).await;
    let path = format!("{FUNCTIONS}/f");
    let with = |qualifier: &str| format!("{path}?Qualifier={qualifier}");
    server.delete(&with("1")).await.nothing();
    server.delete(&with("1")).await.nothing();
    server.get(&with("1")).await.refusal(404, "ResourceNotFoundException");
    assert!(server.code.zip(Sha256::of(&package::function("one"))).is_err());
    assert!(server.code.zip(Sha256::of(&package::function("two"))).is_ok());

    for (qualifier, text) in [
        ("$LATEST", "$LATEST version cannot be deleted without deleting the function."),
        ("prod", "Deletion of aliases is not currently supported."),
    ] {
        let refusal = server.delete(&with(qualifier)).await;
        assert_eq!(refusal.refusal(400, "InvalidParameterValueException"), text);
    }
    let differing = server.delete(&format!("{FUNCTIONS}/f:1?Qualifier=2")).await;
    assert_eq!(
        differing.refusal(400, "InvalidParameterValueException"),
        "The derived qualifier from the function name does not match the specified qualifier."
    );
    server.post(&format!("{path}/aliases"), &json!({"Name": "prod", "FunctionVersion": "2"})).await.json(201);
    let referenced = server.delete(&with("2")).await.refusal(409, "ResourceConflictException");
    assert!(referenced.contains("prod"), "{referenced}");

    server.delete(&path).await.nothing();
    server.get(&path).await.refusal(404, "ResourceNotFoundException");
    assert!(server.code.zip(Sha256::of(&package::function("two"))).is_err());
}

async fn missing(server: Arc<Server>) {
    let update = json!({"ZipFile": package::base64(&package::function("f"))});
    let path = format!("{FUNCTIONS}/f");
    let not_found = format!("Function not found: {}", arn("function:f"));
    for (method, path, body) in [
        (Method::GET, path.clone(), Value::Null),
        (Method::GET, format!("{path}/configuration"), Value::Null),
        (Method::PUT, format!("{path}/code"), update),
        (Method::PUT, format!("{path}/configuration"), json!({"Timeout": 1})),
        (Method::DELETE, path.clone(), Value::Null),
        (Method::DELETE, format!("{path}?Qualifier=1"), Value::Null),
        (Method::POST, format!("{path}/versions"), json!({})),
        (Method::GET, format!("{path}/versions"), Value::Null),
    ] {
        let answer = server.call(method, &path, &body).await;
        assert_eq!(answer.refusal(404, "ResourceNotFoundException"), not_found, "{path}");
    }
    server.create("f").await;
    for qualifier in ["7", "prod", "$LATEST.PUBLISHED"] {
        let answer = server.get(&format!("{path}?Qualifier={qualifier}")).await;
        assert_eq!(
            answer.refusal(404, "ResourceNotFoundException"),
            format!("Function not found: {}", arn(&format!("function:f:{qualifier}")))
        );
    }
}

/// As recorded of `GetFunction`, `DeleteFunction` and `Invoke`: the last one tells where it looked.
async fn names_of_nothing(server: Arc<Server>) {
    let long = "a".repeat(65);
    for (path, in_arn, looked_for) in [
        (long.clone(), long.clone(), format!("{long}:$LATEST")),
        (arn("function"), "function".to_owned(), "function:$LATEST".to_owned()),
        ("some.name".to_owned(), "some.name".to_owned(), "some.name:$LATEST".to_owned()),
        ("f?Qualifier=$latest".to_owned(), "f:$latest".to_owned(), "f:$latest".to_owned()),
        ("f?Qualifier=$LATEST".to_owned(), "f:$LATEST".to_owned(), "f:$LATEST".to_owned()),
    ] {
        let not_found = |name: &str| format!("Function not found: {}", arn(&format!("function:{name}")));
        let found = server.get(&format!("{FUNCTIONS}/{path}")).await;
        assert_eq!(found.refusal(404, "ResourceNotFoundException"), not_found(&in_arn));
        let (name, query) =
            path.split_once('?').map_or((&*path, String::new()), |(name, query)| (name, format!("?{query}")));
        let invoked = server.post(&format!("{FUNCTIONS}/{name}/invocations{query}"), &json!({})).await;
        assert_eq!(invoked.refusal(404, "ResourceNotFoundException"), not_found(&looked_for));
    }
    let deleted = server.delete(&format!("{FUNCTIONS}/{long}")).await;
    deleted.refusal(404, "ResourceNotFoundException");
    for name in [long.clone(), arn(&format!("function:{long}"))] {
        let created = server.post(FUNCTIONS, &with(new_function("f"), json!({"FunctionName": name}))).await;
        assert_eq!(
            created.refusal(400, "InvalidParameterValueException"),
            format!(
                "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member \
                 must have length less than or equal to 64"
            )
        );
    }
}

async fn of_another_account(server: Arc<Server>) {
    let name = format!("arn:aws:lambda:{REGION}:444455556666:function:f");
    let asked = with(new_function("f"), json!({"FunctionName": name}));
    for answer in [server.post(FUNCTIONS, &asked).await, server.get(&format!("{FUNCTIONS}/{name}")).await] {
        assert_eq!(answer.json(403), json!({"Message": null}));
        assert_eq!(answer.error_type.as_deref(), Some("AccessDeniedException"));
    }
    let invoked = server.post(&format!("{FUNCTIONS}/{name}/invocations"), &json!({})).await;
    assert!(invoked.refusal(403, "AccessDeniedException").ends_with(&name));
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let zip = package::base64(&package::function("x"));
    let image = json!({"ImageUri": "registry/image:1"});
    let neither =
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.";
    for (members, status, error_type, text) in [
        (json!({"FunctionName": "f"}), 409, "ResourceConflictException", "Function already exist: f"),
        (json!({"Runtime": null}), 400, "InvalidParameterValueException", neither),
        (json!({"Handler": null}), 400, "InvalidParameterValueException", neither),
        (
            json!({"Code": {}}),
            400,
            "InvalidParameterValueException",
            "Please provide a source for function code.",
        ),
        (
            json!({"Code": {"ZipFile": zip, "S3Bucket": "abc", "S3Key": "k"}}),
            400,
            "InvalidParameterValueException",
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
        (
            json!({"Code": image}),
            400,
            "InvalidParameterValueException",
            "Please don't provide ImageUri when creating a function with packageType Zip.",
        ),
        (
            json!({"PackageType": "Image"}),
            400,
            "InvalidParameterValueException",
            "Please provide ImageUri when creating a function with packageType Image.",
        ),
        (
            json!({"SnapStart": {"ApplyOn": "PublishedVersions"}}),
            400,
            "InvalidParameterValueException",
            "provided.al2023 is not supported for SnapStart enabled functions.",
        ),
        (
            json!({"DurableConfig": {"ExecutionTimeout": 60}}),
            400,
            "InvalidParameterValueException",
            "Firesteel does not have DurableConfig.",
        ),
        (
            json!({"Environment": {"Variables": {"AWS_REGION": "x"}}}),
            400,
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used \
             in this request: AWS_REGION",
        ),
        (
            json!({"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "INFO"}}),
            400,
            "InvalidParameterValueException",
            "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change \
             the LogFormat to \"JSON\" and try again.",
        ),
        (
            json!({"Timeout": 901}),
            400,
            "ValidationException",
            "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have \
             value less than or equal to 900",
        ),
    ] {
        let answer = server.post(FUNCTIONS, &with(new_function("g"), &members)).await;
        assert_eq!(answer.refusal(status, error_type), text);
    }
    let to_image = server.put(&format!("{FUNCTIONS}/f/code"), &image).await;
    assert_eq!(
        to_image.refusal(400, "InvalidParameterValueException"),
        "Please don't provide ImageUri when updating a function with packageType Zip."
    );
    server.get(&format!("{FUNCTIONS}/g")).await.refusal(404, "ResourceNotFoundException");
}

async fn revisions(server: Arc<Server>) {
    server.create("f").await;
    let path = format!("{FUNCTIONS}/f");
    let present = server.settled("f").await["RevisionId"].clone();
    let zip = package::base64(&package::function("x"));
    let text = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
                retrieve the latest Revision Id";
    let code = |revision: &Value| json!({"ZipFile": zip, "RevisionId": revision});
    let timeout = |revision: &Value| json!({"Timeout": 4, "RevisionId": revision});
    let past = json!("ed0f3d2c-9f4c-4fd3-9e3b-2ff3a7f8a2a1");
    let (to_code, to_configuration) = (format!("{path}/code"), format!("{path}/configuration"));
    for (path, body) in [(&to_code, code(&past)), (&to_configuration, timeout(&past))] {
        assert_eq!(server.put(path, &body).await.refusal(412, "PreconditionFailedException"), text);
    }
    let updated = server.put(&to_code, &code(&present)).await.json(200);
    let settled = server.settled("f").await;
    assert_ne!(updated["RevisionId"], settled["RevisionId"]);
    server.put(&to_configuration, &timeout(&settled["RevisionId"])).await.json(200);
}

async fn image(server: Arc<Server>) {
    let asked = json!({
        "FunctionName": "f",
        "Role": ROLE,
        "PackageType": "Image",
        "Code": {"ImageUri": "registry:5000/image:1"},
        "ImageConfig": {"EntryPoint": ["sh"], "WorkingDirectory": "/app"},
    });
    let created = server.post(FUNCTIONS, &asked).await.json(201);
    for absent in ["Runtime", "Handler", "RuntimeVersionConfig", "CodeSha256"] {
        assert_eq!(created.get(absent), None, "{absent}");
    }
    assert_eq!((&created["CodeSize"], &created["PackageType"]), (&json!(0), &json!("Image")));
    let config = json!({"ImageConfig": {"EntryPoint": ["sh"], "WorkingDirectory": "/app"}});
    assert_eq!(created["ImageConfigResponse"], config);

    let failed = server.settled("f").await;
    let code = json!("InvalidConfiguration");
    assert_eq!((&failed["State"], &failed["StateReasonCode"]), (&json!("Failed"), &code));
    assert!(failed["StateReason"].as_str().unwrap().contains("--isolation namespace"), "{failed}");
    let whole = server.get(&format!("{FUNCTIONS}/f")).await.json(200);
    assert_eq!(whole["Code"], json!({"RepositoryType": "ECR", "ImageUri": "registry:5000/image:1"}));
    let to_zip = json!({"ZipFile": package::base64(&package::function("x"))});
    let to_zip = server.put(&format!("{FUNCTIONS}/f/code"), &to_zip).await;
    assert_eq!(
        to_zip.refusal(400, "InvalidParameterValueException"),
        "Please provide ImageUri when updating a function with packageType Image."
    );
    let updated = server.update_configuration("f", &json!({"ImageConfig": {}})).await;
    assert_eq!(updated.get("ImageConfigResponse"), None);
}

/// Every image is there but those whose tags say otherwise. What a tag means changes each time it is asked for.
fn loading() -> Given {
    let count = Arc::new(AtomicU32::default());
    let images = Images::new(move |ImageReference { uri, digest }| {
        let count = Arc::clone(&count);
        async move {
            let source = "the test says so".into();
            match uri.rsplit_once(':').map_or("", |(_, tag)| tag) {
                "missing" => return Err(ImageError::Missing { uri, source }),
                "secret" => return Err(ImageError::AccessDenied { uri, source }),
                "broken" => return Err(ImageError::Invalid { uri, source }),
                "slow" => return Err(ImageError::Failed { uri, source }),
                _ => {}
            }
            let now = || format!("sha256:{:064x}", count.fetch_add(1, Ordering::Relaxed));
            Ok(LoadedImage {
                digest: digest.unwrap_or_else(now),
                root: "/no/such/tree".into(),
                entrypoint: vec!["/bootstrap".into()],
                command: vec![],
                variables: vec![],
                working_dir: None,
                keeps_alive: Arc::new(()),
            })
        }
    });
    Given { images: Some(images), ..Given::default() }
}

fn of_image(uri: &str) -> Value {
    json!({"FunctionName": "f", "Role": ROLE, "PackageType": "Image", "Code": {"ImageUri": uri}})
}

async fn resolved_image(server: Arc<Server>) {
    let created = server.post(FUNCTIONS, &of_image("registry:5000/team/image:1")).await.json(201);
    assert_eq!((&created["State"], created.get("CodeSha256")), (&json!("Pending"), None));
    let settled = server.settled("f").await;
    let digest = |number: u32| format!("{number:064x}");
    assert_eq!((&settled["State"], &settled["CodeSha256"]), (&json!("Active"), &json!(digest(0))));
    let code = |number| {
        json!({
            "RepositoryType": "ECR",
            "ImageUri": "registry:5000/team/image:1",
            "ResolvedImageUri": format!("registry:5000/team/image@sha256:{}", digest(number)),
        })
    };
    let path = format!("{FUNCTIONS}/f");
    assert_eq!(server.get(&path).await.json(200)["Code"], code(0));
    // Settings change, and the image stays what it was.
    server.update_configuration("f", &json!({"Timeout": 7})).await;
    server.settled("f").await;
    assert_eq!(server.get(&path).await.json(200)["Code"], code(0));
    server.put(&format!("{path}/code"), &json!({"ImageUri": "registry:5000/team/image:1"})).await.json(200);
    server.settled("f").await;
    assert_eq!(server.get(&path).await.json(200)["Code"], code(1));
}

async fn missing_image(server: Arc<Server>) {
    for (tag, code) in [
        ("missing", "ImageDeleted"),
        ("secret", "ImageAccessDenied"),
        ("broken", "InvalidImage"),
        ("slow", "InternalError"),
    ] {
        server.post(FUNCTIONS, &of_image(&format!("registry/image:{tag}"))).await.json(201);
        let failed = server.settled("f").await;
        assert_eq!((&failed["State"], &failed["StateReasonCode"]), (&json!("Failed"), &json!(code)), "{tag}");
        assert!(failed["StateReason"].as_str().unwrap().ends_with(": the test says so"), "{failed}");
        server.call(Method::DELETE, &format!("{FUNCTIONS}/f"), &Value::Null).await;
    }
    let local = server.post(FUNCTIONS, &of_image("unpacked:/srv/image")).await;
    assert_eq!(
        local.refusal(400, "InvalidParameterValueException"),
        "Source image unpacked:/srv/image is not valid. Provide a valid source image."
    );
}

/// Too many others are wanted at first.
fn busy() -> Given {
    let (Given { images, .. }, asked) = (loading(), AtomicU32::default());
    let images = images.unwrap();
    let images = Images::new(move |reference: ImageReference| {
        let (images, first) = (images.clone(), asked.fetch_add(1, Ordering::Relaxed) == 0);
        async move {
            if first {
                return Err(ImageError::Busy { uri: reference.uri, source: "the test says so".into() });
            }
            images.load(reference).await
        }
    });
    Given { images: Some(images), ..Given::default() }
}

async fn busy_image(server: Arc<Server>) {
    server.post(FUNCTIONS, &of_image("registry:5000/team/image:1")).await.json(201);
    assert_eq!(server.settled("f").await["State"], json!("Active"));
}

/// No image ever comes.
fn waiting() -> Given {
    Given { images: Some(Images::new(|_| std::future::pending())), ..Given::default() }
}

async fn pending_image(server: Arc<Server>) {
    server.post(FUNCTIONS, &of_image("registry:5000/team/image:1")).await.json(201);
    tokio::time::timeout(PATIENCE, server.invoker.shutdown(Duration::ZERO)).await.unwrap();
    let state = server.get(&format!("{FUNCTIONS}/f/configuration")).await.json(200);
    assert_eq!(state["State"], json!("Pending"), "the next server goes on with it");
}

async fn runtime(server: Arc<Server>) {
    server.post(FUNCTIONS, &with(new_function("f"), json!({"Runtime": "java21"}))).await.json(201);
    let failed = server.settled("f").await;
    assert_eq!((&failed["State"], &failed["StateReasonCode"]), (&json!("Failed"), &json!("InvalidRuntime")));
    assert_eq!(failed.get("LastUpdateStatus"), None);
    let invoked = server.post(&format!("{FUNCTIONS}/f/invocations"), &json!({})).await;
    invoked.refusal(409, "ResourceConflictException");
    // Another runtime makes it right.
    server.update_configuration("f", &json!({"Runtime": "provided.al2023"})).await;
    assert_eq!(server.invoke("f").await["package"], "f");
}

async fn leftovers(server: Arc<Server>) {
    server.create("f").await;
    let archive = package::function("other");
    let code = json!({"Code": {"ZipFile": package::base64(&archive)}});
    let again = with(new_function("f"), &code);
    server.post(FUNCTIONS, &again).await.refusal(409, "ResourceConflictException");
    let past = json!({"ZipFile": package::base64(&archive), "RevisionId": "past"});
    server.put(&format!("{FUNCTIONS}/f/code"), &past).await.refusal(412, "PreconditionFailedException");
    assert!(server.code.zip(Sha256::of(&archive)).is_err());
    // The same package, needed by another function, stays.
    server.post(FUNCTIONS, &with(new_function("g"), &code)).await.json(201);
    server.post(FUNCTIONS, &again).await.refusal(409, "ResourceConflictException");
    assert!(server.code.zip(Sha256::of(&archive)).is_ok());
}

async fn gone(server: Arc<Server>) {
    let request = new_function("f");
    let creating = server.post(FUNCTIONS, &request);
    // Long enough for the operation to begin, and for nothing else.
    let went_away = tokio::select! {
        biased;
        _ = creating => false,
        () = tokio::task::yield_now() => true,
    };
    assert!(went_away);
    let created = async {
        while server.store.account_usage().unwrap().functions == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, created).await.unwrap();
    assert_eq!(server.settled("f").await["State"], "Active");
}

fn small() -> Given {
    let package = Limits { unpacked_bytes: 1_000, ..Limits::default() };
    Given { code: StoreLimits { package, ..StoreLimits::default() }, ..Given::default() }
}

/// Of 1 000 bytes here.
async fn too_large(server: Arc<Server>) {
    let layer = |name: &str, bytes: usize| {
        let stored = server.code.put_bytes(&package::archive(&[(name, &vec![b'x'; bytes])])).unwrap();
        let (sha256, size_bytes) = (CodeDigest(stored.sha256.into()), stored.size_bytes);
        let new = NewLayerVersion { name: name.to_owned(), sha256, size_bytes, about: AboutLayer::default() };
        server.store.publish_layer_version(new).unwrap().arn
    };
    let (half, rest) = (layer("half", 500), layer("rest", 400));
    let code = |bytes: usize| package::base64(&package::archive(&[("code", &vec![b'x'; bytes])]));
    let asked = |bytes: usize, layers: &[&String]| {
        with(new_function("f"), json!({"Code": {"ZipFile": code(bytes)}, "Layers": layers}))
    };
    let text = |bytes: usize| {
        format!(
            "Function code combined with layers exceeds the maximum allowed size of 1000 bytes. The actual size is \
             {bytes} bytes."
        )
    };
    let refusal = server.post(FUNCTIONS, &asked(101, &[&half, &rest])).await;
    assert_eq!(refusal.refusal(400, "InvalidParameterValueException"), text(1001));
    let created = server.post(FUNCTIONS, &asked(101, &[&half])).await.json(201);
    assert_eq!(comparable(&created["Layers"]), json!([{"Arn": half, "CodeSize": "<size>"}]));
    server.settled("f").await;

    let path = format!("{FUNCTIONS}/f");
    let both = json!({"Layers": [half, rest]});
    let refusal = server.put(&format!("{path}/configuration"), &both).await;
    assert_eq!(refusal.refusal(400, "InvalidParameterValueException"), text(1001));
    let larger = server.put(&format!("{path}/code"), &json!({"ZipFile": code(501)})).await;
    assert_eq!(larger.refusal(400, "InvalidParameterValueException"), text(1001));
    server.put(&format!("{path}/code"), &json!({"ZipFile": code(100)})).await.json(200);
    server.settled("f").await;
    server.update_configuration("f", &both).await;
    let alone = server.put(&format!("{path}/code"), &json!({"ZipFile": code(1001)})).await;
    assert_eq!(
        alone.refusal(400, "InvalidParameterValueException"),
        "Unzipped size must be smaller than 1000 bytes"
    );
}
