//! Layers, their packages and their policies.

use std::sync::Arc;

use firesteel_image::{Sha256, StoreLimits};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{
    FUNCTIONS, Given, ORIGIN, Server, arn, comparable, new_function, test, test_with, with,
};
use crate::{code, package};

const LAYERS: &str = "/2018-10-31/layers";
const ABSENT: &str = "The resource you requested does not exist.";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_layer_is_shown_as_it_was_published", a_version_is_shown_as_it_was_published),
        test("what_is_not_said_of_a_layer_is_not_shown", what_is_not_said_is_not_shown),
        test("layers_that_fit_are_listed_in_pages", lists_show_what_fits_in_pages),
        test("a_package_goes_with_the_last_layer_that_refers_to_it", a_package_goes_with_the_last),
        test("a_function_sees_its_layers_in_order", a_function_sees_its_layers_in_order),
        test("content_that_cannot_be_a_layer_is_refused", content_that_cannot_be_taken),
        test_with("a_layer_can_be_an_object_of_s3", code::objects, an_object),
        test_with("there_is_an_end_to_the_storage_of_layers", small, an_end_to_storage),
        test("refusals_of_layers_are_as_recorded", refused),
        test("statements_about_layers_are_kept_and_guarded", statements_are_kept_and_guarded),
        test("refusals_of_policies_of_layers_are_as_recorded", policies_refused),
    ]
}

fn versions_of(layer: &str) -> String {
    format!("{LAYERS}/{layer}/versions")
}

/// An archive with this file.
fn content(file: &str) -> Value {
    json!({"ZipFile": package::base64(&package::archive(&[(file, b"content")]))})
}

async fn publish(server: &Server, layer: &str, also: Value) -> Value {
    let new = with(json!({"Content": content("file")}), also);
    server.post(&versions_of(layer), &new).await.json(201)
}

/// `comparable`, which does not know the moment of a layer.
fn shown(version: &Value) -> Value {
    let mut version = version.clone();
    let created = version.as_object_mut().unwrap().remove("CreatedDate").unwrap();
    comparable(&with(version, json!({"LastModified": created})))
}

async fn a_version_is_shown_as_it_was_published(server: Arc<Server>) {
    let about = json!({
        "Description": "d",
        "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["python3.13", "python3.12"],
        "CompatibleArchitectures": ["arm64", "x86_64"],
    });
    let published = publish(&server, "l", about.clone()).await;
    let expected = with(
        about,
        json!({
            "Content": {"CodeSha256": "<sha256>", "CodeSize": "<size>", "Location": "<link>"},
            "LastModified": "<date>",
            "LayerArn": arn("layer:l"),
            "LayerVersionArn": arn("layer:l:1"),
            "Version": 1,
        }),
    );
    assert_eq!(shown(&published), expected);
    let archive = package::archive(&[("file", b"content")]);
    assert_eq!(published["Content"]["CodeSha256"], package::code_sha256(&archive));
    assert_eq!(published["Content"]["CodeSize"], archive.len());
    let link = published["Content"]["Location"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
    assert_eq!(server.get(link).await.content, archive);

    for path in [
        format!("{}/1", versions_of("l")),
        format!("{}/1", versions_of(&arn("layer:l"))),
        format!("{LAYERS}?find=LayerVersion&Arn={}", arn("layer:l:1")),
    ] {
        assert_eq!(shown(&server.get(&path).await.json(200)), expected, "{path}");
    }
    assert_eq!(publish(&server, "l", json!({})).await["Version"], 2);
    assert_eq!(publish(&server, &arn("layer:l"), json!({})).await["LayerVersionArn"], arn("layer:l:3"));
}

async fn what_is_not_said_is_not_shown(server: Arc<Server>) {
    let members = |version: &Value| -> Vec<String> {
        version
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    let silent = publish(&server, "l", json!({})).await;
    let always = ["Content", "CreatedDate", "Description", "LayerArn", "LayerVersionArn", "Version"];
    assert_eq!(members(&silent), always);
    assert_eq!(silent["Description"], "");
    let empty = json!({"CompatibleRuntimes": [], "CompatibleArchitectures": []});
    publish(&server, "l", empty).await;
    let empty = server.get(&format!("{}/2", versions_of("l"))).await.json(200);
    assert_eq!((&empty["CompatibleRuntimes"], &empty["CompatibleArchitectures"]), (&json!([]), &json!([])));
}

async fn lists_show_what_fits_in_pages(server: Arc<Server>) {
    let runs =
        |runtime: &str| json!({"CompatibleRuntimes": [runtime], "CompatibleArchitectures": ["x86_64"]});
    for (layer, about) in
        [("a", runs("python3.13")), ("a", runs("ruby3.4")), ("b", runs("python3.13")), ("c", json!({}))]
    {
        publish(&server, layer, about).await;
    }
    let versions = async |query: &str| -> Vec<Value> {
        let page = server.get(&format!("{}{query}", versions_of("a"))).await.json(200);
        page["LayerVersions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| version["LayerVersionArn"].clone())
            .collect()
    };
    assert_eq!(versions("").await, [arn("layer:a:2"), arn("layer:a:1")]);
    assert_eq!(versions("?CompatibleRuntime=python3.13").await, [arn("layer:a:1")]);
    let latest = async |query: &str| -> Vec<Value> {
        let page = server.get(&format!("{LAYERS}{query}")).await.json(200);
        let latest = |layer: &Value| layer["LatestMatchingVersion"]["LayerVersionArn"].clone();
        page["Layers"].as_array().unwrap().iter().map(latest).collect()
    };
    assert_eq!(latest("").await, [arn("layer:a:2"), arn("layer:b:1"), arn("layer:c:1")]);
    assert_eq!(latest("?CompatibleRuntime=python3.13").await, [arn("layer:a:1"), arn("layer:b:1")]);
    assert_eq!(latest("?CompatibleArchitecture=arm64").await, [Value::Null; 0]);
    let first = server.get(&format!("{LAYERS}?MaxItems=2")).await.json(200);
    let layer = &first["Layers"][0];
    assert_eq!((&layer["LayerName"], &layer["LayerArn"]), (&json!("a"), &json!(arn("layer:a"))));
    assert_eq!(layer["LatestMatchingVersion"].get("Content"), None);
    let marker = first["NextMarker"].as_str().unwrap();
    assert_eq!(latest(&format!("?Marker={marker}")).await, [arn("layer:c:1")]);
    assert_eq!(server.get(&versions_of("absent")).await.json(200), json!({"LayerVersions": []}));
}

async fn a_package_goes_with_the_last(server: Arc<Server>) {
    for layer in ["l", "m"] {
        publish(&server, layer, json!({})).await;
    }
    let sha256 = Sha256::of(&package::archive(&[("file", b"content")]));
    let one = |layer: &str| format!("{}/1", versions_of(layer));
    server.delete(&one("l")).await.nothing();
    assert_eq!(server.get(&one("l")).await.refusal(404, "ResourceNotFoundException"), ABSENT);
    server.code.zip(sha256).unwrap();
    server.delete(&one("m")).await.nothing();
    server.code.zip(sha256).unwrap_err();
    server.delete(&one("m")).await.nothing();
}

async fn a_function_sees_its_layers_in_order(server: Arc<Server>) {
    let program = std::env::current_exe().unwrap();
    let bootstrap = format!("#!/bin/sh\nexec '{}' {}\n", program.display(), crate::RUNTIME);
    // The later one wins, and has what the function itself is without.
    for (layer, bootstrap) in [("l", "#!/bin/sh\nexit 1\n"), ("m", bootstrap.as_str())] {
        let archive = package::archive(&[("bootstrap", bootstrap.as_bytes())]);
        let new = json!({"Content": {"ZipFile": package::base64(&archive)}});
        server.post(&versions_of(layer), &new).await.json(201);
    }
    let archive = package::archive(&[("name", b"of the function")]);
    let new = with(
        new_function("f"),
        json!({
            "Code": {"ZipFile": package::base64(&archive)},
            "Layers": [arn("layer:l:1"), arn("layer:m:1")],
        }),
    );
    server.post(FUNCTIONS, &new).await.json(201);
    server.settled("f").await;
    assert_eq!(server.invoke("f").await["package"], "of the function");
    // What a function has stays, though nobody else can have it any more.
    server.delete(&format!("{}/1", versions_of("m"))).await.nothing();
    server.update_configuration("f", &json!({"Description": "d"})).await;
    assert_eq!(server.invoke("f").await["package"], "of the function");
}

async fn content_that_cannot_be_taken(server: Arc<Server>) {
    let invalid = "InvalidParameterValueException";
    for (content, status, class, text) in [
        (
            json!({"ZipFile": package::base64(b"no archive")}),
            400,
            invalid,
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        (json!({"ZipFile": ""}), 400, invalid, "Uploaded file must be a non-empty zip"),
        (
            json!({}),
            400,
            invalid,
            "Please provide either a ZipFile, or an S3Bucket and an S3Key, as the content of a layer version.",
        ),
        (
            json!({"S3Bucket": "bucket"}),
            400,
            invalid,
            "Please provide either a ZipFile, or an S3Bucket and an S3Key, as the content of a layer version.",
        ),
    ] {
        let refused = server.post(&versions_of("l"), &json!({"Content": content})).await;
        assert_eq!(refused.refusal(status, class), text, "{content}");
    }
    assert_eq!(server.get(LAYERS).await.json(200), json!({"Layers": []}));
    assert_eq!(server.code.packages_bytes(), 0);
}

async fn an_object(server: Arc<Server>) {
    let of = |key: &str| json!({"Content": {"S3Bucket": "code", "S3Key": key}});
    let published = server.post(&versions_of("l"), &of("folder/f.zip")).await.json(201);
    let archive = package::function("of-s3");
    assert_eq!(published["Content"]["CodeSha256"], package::code_sha256(&archive));
    assert_eq!(published["Content"]["CodeSize"], archive.len());
    let missing = server.post(&versions_of("l"), &of("missing.zip")).await;
    assert_eq!(
        missing.refusal(400, "InvalidParameterValueException"),
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
    );
}

fn small() -> Given {
    Given { code: StoreLimits { packages_bytes: 100, ..StoreLimits::default() }, ..Given::default() }
}

async fn an_end_to_storage(server: Arc<Server>) {
    let refused = server.post(&versions_of("l"), &json!({"Content": content("file")})).await;
    let text = refused.refusal(400, "CodeStorageExceededException");
    assert_eq!(text, "Code storage limit exceeded.");
}

async fn refused(server: Arc<Server>) {
    publish(&server, "l", json!({})).await;
    for path in [
        format!("{}/2", versions_of("l")),
        format!("{}/1", versions_of("absent")),
        format!("{}/1", versions_of("arn:aws:lambda:us-east-1:111122223333:layer:l")),
        format!("{}/1", versions_of("arn:aws:lambda:eu-west-1:444455556666:layer:l")),
        format!("{LAYERS}?find=LayerVersion&Arn={}", arn("layer:l:2")),
    ] {
        assert_eq!(server.get(&path).await.refusal(404, "ResourceNotFoundException"), ABSENT, "{path}");
    }
    for number in ["0", "-1"] {
        let path = format!("{}/{number}", versions_of("l"));
        for answer in [server.get(&path).await, server.delete(&path).await] {
            let text = answer.refusal(400, "InvalidParameterValueException");
            assert_eq!(text, "Layer Version Cannot be less than 1");
        }
    }
    let invalid = json!({
        "Content": content("file"), "CompatibleRuntimes": ["invalid"], "CompatibleArchitectures": ["invalid"],
    });
    let text = server.post(&versions_of("l"), &invalid).await.refusal(400, "ValidationException");
    let begin = "2 validation errors detected: Value '[invalid]' at 'compatibleRuntimes' failed to satisfy \
         constraint: Member must satisfy enum value set: [";
    assert!(text.starts_with(begin), "{text}");
}

fn policy_of(layer: &str, number: i64) -> String {
    format!("{}/{number}/policy", versions_of(layer))
}

fn statement(sid: &str) -> Value {
    json!({"StatementId": sid, "Action": "lambda:GetLayerVersion", "Principal": "*"})
}

async fn statements_are_kept_and_guarded(server: Arc<Server>) {
    publish(&server, "l", json!({})).await;
    let path = policy_of("l", 1);
    let expected = |sid: &str| {
        json!({
            "Sid": sid, "Effect": "Allow", "Principal": "*", "Action": "lambda:GetLayerVersion",
            "Resource": arn("layer:l:1"),
        })
    };
    let inner = |text: &Value| -> Value { serde_json::from_str(text.as_str().unwrap()).unwrap() };
    let one = server.post(&path, &statement("s1")).await.json(201);
    assert_eq!(inner(&one["Statement"]), expected("s1"));
    let first = one["RevisionId"].as_str().unwrap();
    let two = server.post(&format!("{path}?RevisionId={first}"), &statement("s2")).await.json(201);
    let shown = server.get(&path).await.json(200);
    let document =
        json!({"Version": "2012-10-17", "Id": "default", "Statement": [expected("s1"), expected("s2")]});
    assert_eq!((inner(&shown["Policy"]), &shown["RevisionId"]), (document, &two["RevisionId"]));

    let text = "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to \
         retrieve the latest Revision Id";
    for answer in [
        server.post(&format!("{path}?RevisionId={first}"), &statement("s3")).await,
        server.delete(&format!("{path}/s1?RevisionId={first}")).await,
    ] {
        assert_eq!(answer.refusal(412, "PreconditionFailedException"), text);
    }
    server.delete(&format!("{path}/s2")).await.nothing();
    let left = server.get(&path).await.json(200);
    assert_eq!(inner(&left["Policy"])["Statement"], json!([expected("s1")]));
    assert_ne!(left["RevisionId"], shown["RevisionId"]);

    let organization = with(statement("s4"), json!({"OrganizationId": "o-1234567890"}));
    let added = server.post(&path, &organization).await.json(201);
    let condition = json!({"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}});
    assert_eq!(inner(&added["Statement"])["Condition"], condition);
}

async fn policies_refused(server: Arc<Server>) {
    publish(&server, "l", json!({})).await;
    let path = policy_of("l", 1);
    assert_eq!(
        server.get(&path).await.refusal(404, "ResourceNotFoundException"),
        "No policy is associated with the given resource."
    );
    server.post(&path, &statement("s1")).await.json(201);
    assert_eq!(
        server.post(&path, &statement("s1")).await.refusal(409, "ResourceConflictException"),
        "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing \
         statement."
    );
    let action = with(statement("s2"), json!({"Action": "*"}));
    assert_eq!(
        server.post(&path, &action).await.refusal(400, "ValidationException"),
        "1 validation error detected: Value '*' at 'action' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: lambda:GetLayerVersion"
    );
    assert_eq!(
        server.delete(&format!("{path}/absent")).await.refusal(404, "ResourceNotFoundException"),
        "Statement absent is not found in resource policy."
    );
    for (layer, number) in [("absent", 1), ("l", 2)] {
        let text = format!("Layer version {} does not exist.", arn(&format!("layer:{layer}:{number}")));
        let path = policy_of(layer, number);
        for answer in [
            server.post(&path, &statement("s1")).await,
            server.get(&path).await,
            server.delete(&format!("{path}/s1")).await,
        ] {
            assert_eq!(answer.refusal(404, "ResourceNotFoundException"), text);
        }
    }
}
