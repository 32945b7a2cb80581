//! What a guest says to its own Runtime API about the invocation of another is not believed.

use crate::backend::Backend;
use crate::guests;
use crate::harness::process::eventually;
use crate::harness::server::Server;
use crate::run::Run;

/// Takes its time.
const PATIENT: &str = "def answer(event):\n    time.sleep(1.5)\n    return '\"its own\"'\nserve(answer)";

/// Posts a result and an error for the request that it is told; tells the statuses.
const FORGER: &str = r#"
def forge(event):
    id = event.body.decode().strip('"')
    connection = Connection()
    said = [connection.call("POST", BASE + "invocation/%s/%s" % (id, what), '"forged"').status for what in ("response", "error")]
    return str(said)
serve(forge)
"#;

#[test]
fn an_answer_in_the_name_of_anothers_invocation_reaches_nobody() {
    let Some(backend) = Backend::for_test("an_answer_in_the_name_of_anothers_invocation…") else { return };
    let (patient, forger) = (guests::scripted(PATIENT), guests::scripted(FORGER));
    let arguments = [&backend.arguments()[..], &["--timeout", "20"]].concat();
    let server = Server::of_several(&[("patient", &patient), ("forger", &forger)], &arguments);
    let run = Run::of(&server);
    // So that it is quick when it matters.
    server.invoke_named("forger", &[], "\"none\"").success();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.invoke_named("patient", &[], "{}"));
        let mark = "patient | START RequestId: ";
        eventually("the patient one is asked", || server.log().contains(mark));
        let log = server.log();
        let id = log.split(mark).nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let said = server.invoke_named("forger", &[], &format!("\"{id}\"")).success();
        assert!(!waiting.is_finished(), "the invocation was over before it could be forged");
        assert_eq!(said, "[400, 400]");
        let reply = waiting.join().unwrap();
        assert_eq!((reply.success().as_str(), reply.request_id()), ("\"its own\"", id));
    });
    let namespaces = run.namespaces();
    drop(server);
    run.left_nothing(&namespaces);
}
