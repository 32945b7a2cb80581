//! Which URL a request reaches, what its function sees, and what comes back.

use firesteel_catalog::{AuthType, InvokeMode, UrlSettings};
use libtest_mimic::Trial;
use serde_json::json;

use crate::client::Request;
use crate::fixture::{Server, everybody, host, reference, settings};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("hosts_and_paths_reach_the_url", hosts_and_paths_reach_the_url),
        crate::test("what_no_url_has_is_unknown", what_no_url_has_is_unknown),
        crate::test("the_event_is_of_the_url", the_event_is_of_the_url),
        crate::test("all_else_is_still_the_apis", all_else_is_still_the_apis),
        crate::test(
            "an_answer_is_streamed_where_the_url_says_so",
            an_answer_is_streamed_where_the_url_says_so,
        ),
        crate::test("failures_are_bad_gateways", failures_are_bad_gateways),
        crate::test("a_reservation_of_zero_switches_a_url_off", a_reservation_of_zero_switches_a_url_off),
        crate::test(
            "an_alias_has_a_url_of_its_own_until_it_is_gone",
            an_alias_has_a_url_of_its_own_until_it_is_gone,
        ),
    ]
}

async fn hosts_and_paths_reach_the_url() {
    let server = Server::start().await;
    let function = server.function("f");
    server.store.add_permission(&function, &everybody(), None).unwrap();
    let id = server.url(&function, settings(AuthType::None));
    for host in [
        format!("{id}.lambda-url.localhost"),
        format!("{id}.lambda-url.localhost:{}", server.address.port()),
        format!("{id}.lambda-url.eu-west-1.localhost"),
        format!("{id}.lambda-url.eu-west-1.on.aws"),
        format!("{}.LAMBDA-URL.eu-west-1.on.aws", id.to_uppercase()),
    ] {
        let event = Request::get(&host, "/a%20b/?x=1").send(server.address).await.event();
        assert_eq!(
            (&event["rawPath"], &event["rawQueryString"]),
            (&json!("/a%20b/"), &json!("x=1")),
            "{host}"
        );
        assert_eq!(event["requestContext"]["domainName"], host);
    }
    for (sent, seen) in
        [("", "/"), ("/", "/"), ("/a%20b/", "/a%20b/"), ("/2015-03-31/functions/", "/2015-03-31/functions/")]
    {
        let path = format!("/lambda-url/{id}{sent}?x=1");
        let event = Request::get("127.0.0.1", &path).send(server.address).await.event();
        assert_eq!((&event["rawPath"], &event["rawQueryString"]), (&json!(seen), &json!("x=1")));
        assert_eq!(event["requestContext"]["http"]["path"], seen.replace("%20", " "));
    }
    server.close().await;
}

async fn what_no_url_has_is_unknown() {
    let server = Server::start().await;
    let function = server.function("f");
    let id = server.url(&function, settings(AuthType::None));
    server.store.delete_function_url(&function).unwrap();
    for request in [
        Request::get("0123456789abcdefghijklmnopqrstuv.lambda-url.us-east-1.localhost", "/"),
        Request::get(&host(&id), "/2015-03-31/functions/"),
        Request::get(".lambda-url.localhost", "/"),
        Request::get("localhost", &format!("/lambda-url/{id}/")),
        Request::get("localhost", "/lambda-url/"),
    ] {
        let reply = request.send(server.address).await;
        reply.is(403, r#"{"Message":null}"#);
        assert_eq!(reply.header("x-amzn-errortype"), Some("AccessDeniedException"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    server.close().await;
}

async fn the_event_is_of_the_url() {
    let server = Server::start().await;
    let host = server.public("f", settings(AuthType::None));
    let id = host.split('.').next().unwrap();
    let reply = Request::get(&host, "/").header("x-forwarded-for", "10.0.0.1").send(server.address).await;
    let event = reply.event();
    let context = &event["requestContext"];
    assert_eq!((&context["apiId"], &context["domainPrefix"]), (&json!(id), &json!(id)));
    assert_eq!((&context["domainName"], &context["accountId"]), (&json!(host), &json!("anonymous")));
    assert_eq!(context.get("authorizer"), None);
    assert_eq!(context["requestId"], *reply.header("x-amzn-requestid").unwrap());
    let headers = &event["headers"];
    assert_eq!(headers["x-amzn-trace-id"], *reply.header("x-amzn-trace-id").unwrap());
    assert_eq!(
        (&headers["x-forwarded-port"], &headers["x-forwarded-proto"]),
        (&json!("9000"), &json!("http"))
    );
    assert_eq!(headers["x-forwarded-for"], "10.0.0.1, 127.0.0.1");
    // As recorded: a status may be a text.
    let request = Request::get(&host, "/").post(r#"{"statusCode":"418","body":"i'm a teapot"}"#);
    request.send(server.address).await.is(418, "i'm a teapot");
    server.close().await;
}

async fn all_else_is_still_the_apis() {
    let server = Server::start().await;
    server.function("f");
    let path = "/2015-03-31/functions/f/invocations";
    for host in ["127.0.0.1:9000", "localhost", "lambda.eu-west-1.localhost", "lambda-url.localhost"] {
        let reply = Request::get(host, path).post(r#"{"body":"7"}"#).send(server.address).await;
        reply.is(200, "7");
        assert_eq!(reply.header("x-amz-executed-version"), Some("$LATEST"));
    }
    let reply = Request::get("localhost", "/lambda-urls/").send(server.address).await;
    assert_eq!(reply.header("x-amzn-errortype"), Some("UnknownOperationException"));
    server.close().await;
}

async fn an_answer_is_streamed_where_the_url_says_so() {
    let server = Server::start().await;
    let streamed = UrlSettings { invoke_mode: Some(InvokeMode::ResponseStream), ..settings(AuthType::None) };
    let host = server.public("f", streamed);
    let reply = Request::get(&host, "/stream").post("abc").send(server.address).await;
    assert_eq!((reply.status.as_u16(), reply.header("transfer-encoding")), (202, Some("chunked")));
    assert_eq!(reply.body, "3\r\nabc\r\n0\r\n\r\n");
    server.close().await;
}

async fn failures_are_bad_gateways() {
    let server = Server::start().await;
    let host = server.public("f", settings(AuthType::None));
    for request in [Request::get(&host, "/fail"), Request::get(&host, "/").post("no json")] {
        let reply = request.send(server.address).await;
        reply.is(502, "Internal Server Error");
        assert!(reply.header("x-amzn-requestid").is_some() && reply.header("x-amzn-trace-id").is_some());
    }
    server.close().await;
}

async fn a_reservation_of_zero_switches_a_url_off() {
    let server = Server::start().await;
    let host = server.public("f", settings(AuthType::None));
    let function = reference("f");
    server.store.put_reserved_concurrency(&function.name, 0).unwrap();
    let reply = Request::get(&host, "/").send(server.address).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("x-amzn-errortype")),
        (429, Some("TooManyRequestsException"))
    );
    server.store.delete_reserved_concurrency(&function.name).unwrap();
    Request::get(&host, "/").send(server.address).await.event();
    server.close().await;
}

async fn an_alias_has_a_url_of_its_own_until_it_is_gone() {
    let server = Server::start().await;
    server.public("f", settings(AuthType::None));
    let alias = reference("f:live");
    let host = host(&server.url(&alias, settings(AuthType::None)));
    let request = Request::get(&host, "/");
    // The function's policy is not the alias's.
    request.send(server.address).await.is_forbidden();
    server.store.add_permission(&alias, &everybody(), None).unwrap();
    request.send(server.address).await.event();
    server.store.delete_alias(&alias.name, "live").unwrap();
    request.send(server.address).await.is_forbidden();
    server.close().await;
}
