//! Resource policies of functions, versions and aliases.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, arn, test, with};

const ABSENT: &str = "The resource you requested does not exist.";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("statements_are_shown_as_they_were_added", statements_are_shown_as_they_were_added),
        test("conditions_and_principals_are_as_recorded", conditions_and_principals_are_as_recorded),
        test("each_version_and_alias_has_a_policy_of_its_own", each_place_has_a_policy_of_its_own),
        test("revisions_guard_policies", revisions_guard_policies),
        test("refusals_of_permissions_are_as_recorded", refused),
    ]
}

fn policy_of(function: &str) -> String {
    format!("{FUNCTIONS}/{function}/policy")
}

fn statement(sid: &str) -> Value {
    json!({"StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"})
}

/// A member that is JSON inside JSON.
fn inner(answer: &Value, member: &str) -> Value {
    serde_json::from_str(answer[member].as_str().unwrap()).unwrap()
}

async fn statements_are_shown_as_they_were_added(server: Arc<Server>) {
    server.create("f").await;
    let expected = |sid: &str| {
        json!({
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": arn("function:f"),
        })
    };
    for sid in ["one", "two"] {
        let added = server.post(&policy_of("f"), &statement(sid)).await.json(201);
        assert_eq!(added.as_object().unwrap().len(), 1);
        assert_eq!(inner(&added, "Statement"), expected(sid));
    }
    let shown = server.get(&policy_of("f")).await.json(200);
    let document = json!({
        "Version": "2012-10-17", "Id": "default", "Statement": [expected("one"), expected("two")],
    });
    assert_eq!(inner(&shown, "Policy"), document);

    server.delete(&format!("{}/one", policy_of("f"))).await.nothing();
    let left = server.get(&policy_of("f")).await.json(200);
    assert_eq!(inner(&left, "Policy")["Statement"], json!([expected("two")]));
    assert_ne!(left["RevisionId"], shown["RevisionId"]);
    let gone = server.delete(&format!("{}/one", policy_of("f"))).await;
    let text = gone.refusal(404, "ResourceNotFoundException");
    assert_eq!(text, "Statement one is not found in resource policy.");
    assert_eq!(server.get(&policy_of("f")).await.json(200), left, "a refusal changes nothing");

    server.delete(&format!("{}/two", policy_of("f"))).await.nothing();
    assert_eq!(server.get(&policy_of("f")).await.refusal(404, "ResourceNotFoundException"), ABSENT);
}

async fn conditions_and_principals_are_as_recorded(server: Arc<Server>) {
    server.create("f").await;
    for (given, principal, condition) in [
        (json!({"Principal": "*"}), json!("*"), Value::Null),
        (json!({"Principal": "111122223333"}), json!({"AWS": "arn:aws:iam::111122223333:root"}), Value::Null),
        (
            json!({"Principal": "*", "EventSourceToken": "amzn1.ask.skill.x"}),
            json!("*"),
            json!({"StringEquals": {"lambda:EventSourceToken": "amzn1.ask.skill.x"}}),
        ),
        (
            json!({
                "Principal": "*",
                "Action": "lambda:InvokeFunctionUrl",
                "SourceArn": "arn:aws:s3:::b",
                "SourceAccount": "111122223333",
                "PrincipalOrgID": "o-1234567890",
                "FunctionUrlAuthType": "NONE",
            }),
            json!("*"),
            json!({
                "StringEquals": {
                    "AWS:SourceAccount": "111122223333",
                    "lambda:FunctionUrlAuthType": "NONE",
                    "aws:PrincipalOrgID": "o-1234567890",
                },
                "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
            }),
        ),
        (
            json!({"Principal": "*", "InvokedViaFunctionUrl": true}),
            json!("*"),
            json!({"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}),
        ),
    ] {
        let added = server.post(&policy_of("f"), &with(statement("s"), given.clone())).await.json(201);
        let shown = inner(&added, "Statement");
        assert_eq!(shown["Principal"], principal, "{given}");
        assert_eq!(shown.get("Condition").unwrap_or(&Value::Null), &condition, "{given}");
        server.delete(&format!("{}/s", policy_of("f"))).await.nothing();
    }
}

async fn each_place_has_a_policy_of_its_own(server: Arc<Server>) {
    server.create("f").await;
    server.post(&policy_of("f"), &statement("whole")).await.json(201);
    server.post(&format!("{FUNCTIONS}/f/versions"), &json!({})).await.json(201);
    let alias = json!({"Name": "prod", "FunctionVersion": "1"});
    server.post(&format!("{FUNCTIONS}/f/aliases"), &alias).await.json(201);
    for qualifier in ["1", "prod"] {
        let path = format!("{}?Qualifier={qualifier}", policy_of("f"));
        assert_eq!(server.get(&path).await.refusal(404, "ResourceNotFoundException"), ABSENT);
        let added = server.post(&path, &statement(qualifier)).await.json(201);
        assert_eq!(inner(&added, "Statement")["Resource"], arn(&format!("function:f:{qualifier}")));
        let sids = inner(&server.get(&path).await.json(200), "Policy")["Statement"].clone();
        assert_eq!(sids.as_array().unwrap().len(), 1, "{sids}");
        assert_eq!(sids[0]["Sid"], qualifier);
        server.delete(&format!("{}/{qualifier}?Qualifier={qualifier}", policy_of("f"))).await.nothing();
    }
    let whole = inner(&server.get(&policy_of("f")).await.json(200), "Policy");
    assert_eq!(whole["Statement"][0]["Sid"], "whole");
}

async fn revisions_guard_policies(server: Arc<Server>) {
    server.create("f").await;
    let revision = server.settled("f").await["RevisionId"].clone();
    let guarded = with(statement("one"), json!({"RevisionId": revision}));
    server.post(&policy_of("f"), &guarded).await.json(201);
    let differs = server.post(&policy_of("f"), &with(guarded, json!({"StatementId": "two"}))).await;
    assert_eq!(
        differs.refusal(412, "PreconditionFailedException"),
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve \
         the latest Revision Id"
    );
    let revision = revision.as_str().unwrap();
    let removing = server.delete(&format!("{}/one?RevisionId={revision}", policy_of("f"))).await;
    assert_eq!(
        removing.refusal(412, "PreconditionFailedException"),
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
         retrieve the latest Revision Id"
    );
    let policy = server.get(&policy_of("f")).await.json(200);
    let configuration = server.get(&format!("{FUNCTIONS}/f/configuration")).await.json(200);
    assert_eq!(policy["RevisionId"], configuration["RevisionId"]);
    let present = policy["RevisionId"].as_str().unwrap();
    server.delete(&format!("{}/one?RevisionId={present}", policy_of("f"))).await.nothing();
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let nothing = server.delete(&format!("{}/s", policy_of("f"))).await;
    assert_eq!(
        nothing.refusal(404, "ResourceNotFoundException"),
        "No policy is associated with the given resource."
    );
    server.post(&policy_of("f"), &statement("s")).await.json(201);
    let s = statement("s");
    for (path, body, status, class, text) in [
        (
            policy_of("f"),
            s.clone(),
            409,
            "ResourceConflictException",
            "The statement id (s) provided already exists. Please provide a new statement id, or remove the \
             existing statement."
                .to_owned(),
        ),
        (
            policy_of("f"),
            with(s.clone(), json!({"StatementId": "example.com"})),
            400,
            "ValidationException",
            "1 validation error detected: Value 'example.com' at 'statementId' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)"
                .to_owned(),
        ),
        (
            policy_of("f"),
            with(s.clone(), json!({"StatementId": "t", "Principal": "test"})),
            400,
            "InvalidParameterValueException",
            "The provided principal was invalid. Please check the principal and try again.".to_owned(),
        ),
        (
            format!("{}?Qualifier=$LATEST", policy_of("f")),
            s.clone(),
            400,
            "InvalidParameterValueException",
            "We currently do not support adding policies for $LATEST.".to_owned(),
        ),
        (
            format!("{}?Qualifier=2", policy_of("f:1")),
            s.clone(),
            400,
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.".to_owned(),
        ),
        (
            policy_of("absent"),
            s.clone(),
            404,
            "ResourceNotFoundException",
            format!("Function not found: {}", arn("function:absent")),
        ),
        (
            policy_of("f:42"),
            s.clone(),
            404,
            "ResourceNotFoundException",
            format!("Function not found: {}", arn("function:f:42")),
        ),
        (
            policy_of("f:absent"),
            s.clone(),
            404,
            "ResourceNotFoundException",
            format!("Cannot find alias arn: {}", arn("function:f:absent")),
        ),
        (
            format!("{}?Qualifier=with-$-inside", policy_of("f")),
            s.clone(),
            404,
            "ResourceNotFoundException",
            format!("Function not found: {}", arn("function:f:with-$-inside")),
        ),
    ] {
        assert_eq!(server.post(&path, &body).await.refusal(status, class), text, "{path}");
    }
    let removing = server.delete(&format!("{}/s", policy_of("absent"))).await;
    let text = format!("No policy found for: {}", arn("function:absent"));
    assert_eq!(removing.refusal(404, "ResourceNotFoundException"), text);
    for path in [policy_of("absent"), policy_of("f:42")] {
        assert_eq!(server.get(&path).await.refusal(404, "ResourceNotFoundException"), ABSENT);
    }
}
