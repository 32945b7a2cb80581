//! Who is let in, by which policy, and how the others are turned away.

use firesteel_catalog::{AuthType, NewStatement};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::Request;
use crate::fixture::{ACCOUNT, Server, everybody, host, reference, settings};

const CREDENTIALS: &str = r#"{"Credentials": [
    {"AccessKeyId": "ALICE", "SecretAccessKey": "alices", "UserId": "AIDAALICE",
     "Arn": "arn:aws:iam::111122223333:user/alice",
     "Policy": {"Version": "2012-10-17", "Statement": {
         "Effect": "Allow", "Action": "lambda:InvokeFunctionUrl", "Resource": "*",
         "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}}}},
    {"AccessKeyId": "BOB", "SecretAccessKey": "bobs", "Arn": "arn:aws:iam::111122223333:user/bob"},
    {"AccessKeyId": "EVE", "SecretAccessKey": "eves", "Arn": "arn:aws:iam::999999999999:root"}
]}"#;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("anybody_needs_the_policys_leave", anybody_needs_the_policys_leave),
        crate::test(
            "a_url_asks_for_no_signature_where_the_api_does",
            a_url_asks_for_no_signature_where_the_api_does,
        ),
        crate::test("who_signs_is_let_in_by_either_policy", who_signs_is_let_in_by_either_policy),
        crate::test("what_is_not_signed_well_is_turned_away", what_is_not_signed_well_is_turned_away),
        crate::test("a_signature_is_of_the_path_that_was_sent", a_signature_is_of_the_path_that_was_sent),
        crate::test("a_signature_may_come_twice", a_signature_may_come_twice),
        crate::test(
            "without_credentials_a_signature_is_taken_at_its_word",
            without_credentials_a_signature_is_taken_at_its_word,
        ),
    ]
}

async fn anybody_needs_the_policys_leave() {
    let server = Server::start().await;
    let function = server.function("f");
    let host = host(&server.url(&function, settings(AuthType::None)));
    let request = Request::get(&host, "/");
    request.send(server.address).await.is_forbidden();
    // None of these is about everybody, this URL and this action.
    let otherwise: [fn(&mut NewStatement); 4] = [
        |statement| statement.principal = ACCOUNT.into(),
        |statement| statement.function_url_auth_type = Some("AWS_IAM".into()),
        |statement| {
            (statement.action, statement.function_url_auth_type) = ("lambda:InvokeFunction".into(), None);
        },
        |statement| statement.source_account = Some(ACCOUNT.into()),
    ];
    for (number, change) in otherwise.into_iter().enumerate() {
        let mut statement = NewStatement { sid: number.to_string(), ..everybody() };
        change(&mut statement);
        server.store.add_permission(&function, &statement, None).unwrap();
        request.send(server.address).await.is_forbidden();
    }
    server.store.add_permission(&function, &everybody(), None).unwrap();
    request.send(server.address).await.event();
    server.store.remove_permission(&function, "urlPermission", None).unwrap();
    request.send(server.address).await.is_forbidden();
    server.close().await;
}

async fn a_url_asks_for_no_signature_where_the_api_does() {
    let server = Server::knowing(CREDENTIALS).await;
    let host = server.public("f", settings(AuthType::None));
    // Whatever it is, it is for the function.
    let request = Request::get(&host, "/").header("authorization", "Bearer x");
    let event = request.send(server.address).await.event();
    assert_eq!(event["headers"]["authorization"], "Bearer x");
    let invoke = Request::get("localhost", "/2015-03-31/functions/f/invocations").post("{}");
    let reply = invoke.send(server.address).await;
    assert_eq!(reply.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    server.close().await;
}

async fn who_signs_is_let_in_by_either_policy() {
    let server = Server::knowing(CREDENTIALS).await;
    let function = server.function("f");
    let host = host(&server.url(&function, settings(AuthType::AwsIam)));
    let request = Request::get(&host, "/a?b=c").post("{\"body\":null}").header("x-mine", "1");
    let alice = || request.clone().signed("ALICE", "alices");
    let bob = || request.clone().signed("BOB", "bobs");
    let eve = || request.clone().signed("EVE", "eves");
    assert_eq!(alice().send(server.address).await.status, 200);
    bob().send(server.address).await.is_forbidden();
    eve().send(server.address).await.is_forbidden();
    for (sid, principal) in [("bob", "arn:aws:iam::111122223333:user/bob"), ("eve", "999999999999")] {
        let statement = NewStatement {
            sid: sid.into(),
            principal: principal.into(),
            function_url_auth_type: Some("AWS_IAM".into()),
            ..everybody()
        };
        server.store.add_permission(&function, &statement, None).unwrap();
    }
    assert_eq!(bob().send(server.address).await.status, 200);
    assert_eq!(eve().send(server.address).await.status, 200);
    let event = Request::get(&host, "/").signed("ALICE", "alices").send(server.address).await.event();
    assert_eq!(event["requestContext"]["accountId"], ACCOUNT);
    assert_eq!(
        event["requestContext"]["authorizer"]["iam"],
        json!({
            "accessKey": "ALICE",
            "accountId": ACCOUNT,
            "callerId": "AIDAALICE",
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": "arn:aws:iam::111122223333:user/alice",
            "userId": "AIDAALICE",
        })
    );
    server.close().await;
}

async fn what_is_not_signed_well_is_turned_away() {
    let server = Server::knowing(CREDENTIALS).await;
    let function = server.function("f");
    server.store.add_permission(&function, &everybody(), None).unwrap();
    let host = host(&server.url(&function, settings(AuthType::AwsIam)));
    let request = Request::get(&host, "/");
    request.send(server.address).await.is_forbidden();
    for (request, class) in [
        (request.clone().signed("ALICE", "bobs"), "InvalidSignatureException"),
        (request.clone().signed("ALICE", "alices").with_path("/other"), "InvalidSignatureException"),
        (request.clone().signed("NOBODY", "x"), "UnrecognizedClientException"),
        (request.clone().header("authorization", "Bearer x"), "IncompleteSignatureException"),
    ] {
        let reply = request.send(server.address).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-amzn-errortype")), (403, Some(class)));
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert!(body["message"].is_string(), "{body}");
    }
    server.close().await;
}

async fn a_signature_is_of_the_path_that_was_sent() {
    let server = Server::knowing(CREDENTIALS).await;
    let function = server.function("f");
    let id = server.url(&function, settings(AuthType::AwsIam));
    let request = Request::get("127.0.0.1:9000", &format!("/lambda-url/{id}/a%20b?c=d"));
    let event = request.signed("ALICE", "alices").send(server.address).await.event();
    assert_eq!((&event["rawPath"], &event["rawQueryString"]), (&json!("/a%20b"), &json!("c=d")));
    server.close().await;
}

async fn a_signature_may_come_twice() {
    let server = Server::knowing(CREDENTIALS).await;
    let function = server.function("f");
    let host = host(&server.url(&function, settings(AuthType::AwsIam)));
    let request = Request::get(&host, "/").post("7").signed("ALICE", "alices");
    for _ in 0..2 {
        request.send(server.address).await.is(200, "7");
    }
    server.close().await;
}

async fn without_credentials_a_signature_is_taken_at_its_word() {
    let server = Server::start().await;
    let function = server.function("f");
    let host = host(&server.url(&function, settings(AuthType::AwsIam)));
    let request = Request::get(&host, "/");
    request.send(server.address).await.is_forbidden();
    let reply = request.clone().header("authorization", "Bearer x").send(server.address).await;
    assert_eq!(reply.header("x-amzn-errortype"), Some("IncompleteSignatureException"));
    let event = request.signed("ANY", "thing").send(server.address).await.event();
    let iam = &event["requestContext"]["authorizer"]["iam"];
    assert_eq!(
        (&iam["accessKey"], &iam["userArn"]),
        (&json!("ANY"), &json!("arn:aws:iam::111122223333:root"))
    );
    // A deleted alias lets nobody in, whoever signs.
    let alias = reference("f:live");
    let host = self::host(&server.url(&alias, settings(AuthType::AwsIam)));
    server.store.delete_alias(&alias.name, "live").unwrap();
    Request::get(&host, "/").signed("ANY", "thing").send(server.address).await.is_forbidden();
    server.close().await;
}
