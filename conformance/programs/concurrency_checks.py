"""A function that serves several invocations at a time, on the published Rust runtime (`rust-concurrent`)."""

import json
import threading

from report import equal, holds
from stage import invoke, served

MAX_CONCURRENCY = 4
# Option of `serve`, for several invocations at a time in one environment.
OPTION = ("--max-concurrency", str(MAX_CONCURRENCY))


def several_at_a_time(args):
    """As many as there may be, all in one process: none of them ends before all have begun."""
    with served(args, args.rust / "rust-concurrent", *OPTION) as (server, rendezvous):
        answers = {}

        def call(name):
            answers[name] = invoke(server, {"name": name})

        callers = [threading.Thread(target=call, args=(f"guest {number}",)) for number in range(MAX_CONCURRENCY)]
        for caller in callers:
            caller.start()
        try:
            rendezvous.wait_told("arrived", MAX_CONCURRENCY)
        finally:
            rendezvous.give("together")
            for caller in callers:
                caller.join()
        equal(len(answers), MAX_CONCURRENCY, "answers")
        seen = {name: (json.loads(body), request_id) for name, (body, request_id) in answers.items()}
        for name, (answer, request_id) in seen.items():
            equal((answer["name"], answer["requestId"]), (name, request_id), "name and request id")
        equal(len({answer["process"] for answer, _ in seen.values()}), 1, "processes")
        # Every slot takes one after the other as well.
        for number in range(100):
            body, _ = invoke(server, {"name": f"late guest {number}"})
            equal(json.loads(body)["name"], f"late guest {number}", "name")
    starts = sum("INIT_START" in line or "platform.initStart" in line for line in server.lines)
    holds(starts == 1, f"{starts} environments:\n{server.tail()}")


def one_at_a_time(args):
    """The same program without the variable."""
    with served(args, args.rust / "rust-concurrent") as (server, rendezvous):
        rendezvous.give("together")
        for number in range(100):
            body, request_id = invoke(server, {"name": f"guest {number}"})
            answer = json.loads(body)
            equal((answer["name"], answer["requestId"]), (f"guest {number}", request_id), "name and request id")
    return "100 invocations"


def check_concurrency(report, args):
    name = "lambda_runtime with concurrency-tokio"
    if not (args.rust / "rust-concurrent").is_file():
        report.skip(name, f"no {args.rust / 'rust-concurrent'}; conformance/programs/build makes it")
        return
    report.check(f"{name}: one at a time", one_at_a_time, args)
    report.check(f"{name}: several at a time", several_at_a_time, args)
