"""AWS's sample extensions, from a checkout of `aws-samples/aws-lambda-extensions` that is not part of this project.

Their files are run as they are; done to them is only what their own instructions say: scripts made executable, Python
packages installed beside them.
"""

import json
import shutil
import tempfile
from pathlib import Path

from rendezvous import Rendezvous
from report import equal, holds
from stage import FUNCTIONS, invoke, served

PACKAGES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")
# Those in shell sleep for seven seconds of each invocation.
TIMEOUT_S = 100


def greeted(server):
    body, request_id = invoke(server, {"name": "Ada"})
    equal(json.loads(body), {"name": "Ada", "requestId": request_id}, "response")


def all_said(server, *lines):
    written = "\n".join(server.lines)
    for line in lines:
        holds(line in written, f"no line with {line!r}:\n{written}")


def layer(sample, scratch, packages_into=None, venv=None):
    """The layer as the sample's instructions make it."""
    shutil.copytree(sample, scratch)
    for entry in (scratch / "extensions").iterdir():
        if entry.is_file():
            entry.chmod(0o755)
    if packages_into:
        (scratch / packages_into / "extension.py").chmod(0o755)
        site_packages = next((venv / "lib").glob("python3.*/site-packages"))
        for package in PACKAGES:
            shutil.copytree(site_packages / package, scratch / packages_into / package)
    return scratch


def with_packages(args):
    """Options of `serve`: the interpreter that the packages were installed for, which extensions find first."""
    return "--runtime", next((args.venv / "lib").glob("python3.*")).name


def shell_extensions(args, scratch):
    """Two of them at once, which are one script by two names."""
    sample = layer(args.samples / "custom-runtime-extension-demo" / "extensionssrc", scratch / "layer")
    with served(args, FUNCTIONS / "plain", layers=[sample], timeout_s=TIMEOUT_S) as (server, _):
        greeted(server)
    for name in ("extension1.sh", "extension2.sh"):
        all_said(server, f"EXTENSION\tName: {name}\tState: Ready\tEvents: [INVOKE, SHUTDOWN]",
                 f"[{name}] Received event: ", f"[{name}] DONE PROCESSING/SLEEPING",
                 f"[extension: {name}] Received SHUTDOWN event. Exiting.")


def shell_demo(args, scratch):
    """With the runtime and the function that come with them."""
    demo = args.samples / "custom-runtime-extension-demo"
    runtime = shutil.copytree(demo / "runtime", scratch / "runtime")
    (runtime / "bootstrap").chmod(0o755)
    layers = [runtime, layer(demo / "extensionssrc", scratch / "layer")]
    with served(args, demo / "functionsrc", "--runtime", "provided.al2", "--handler", "function.handler", layers=layers,
                timeout_s=TIMEOUT_S) as (server, _):
        body, _ = invoke(server, {"name": "Ada"})
    holds(b"Echoing request:" in body, f"response: {body!r}")


def python_extension(args, scratch):
    name = "python-example-extension"
    sample = layer(args.samples / name, scratch / "layer", name, args.venv)
    with served(args, FUNCTIONS / "plain", *with_packages(args), layers=[sample], timeout_s=TIMEOUT_S) as (server, _):
        greeted(server)
    all_said(server, f"EXTENSION\tName: {name}\tState: Ready\tEvents: [INVOKE, SHUTDOWN]",
             f"[{name}] Received event: ", f"[{name}] Received SHUTDOWN event. Exiting.")


def python_telemetry_extension(args, scratch):
    """It imports a name from `re` that Python 3.13 no longer has."""
    name = "python_example_telemetry_api_extension"
    sample = layer(args.samples / "python-example-telemetry-api-extension", scratch / "layer", name, args.venv)
    with Rendezvous() as collector, served(
            args, FUNCTIONS / "plain", *with_packages(args), layers=[sample], timeout_s=TIMEOUT_S,
            DISPATCH_MIN_BATCH_SIZE="1", DISPATCH_POST_URI=f"http://{collector.address}/telemetry") as (server, _):
        greeted(server)
        greeted(server)
        server.close()
        kinds = {event["type"] for batch in collector.told_json("telemetry") for event in batch}
    for kind in ("platform.initReport", "platform.start", "function", "extension", "platform.report"):
        holds(kind in kinds, f"no {kind} in {sorted(kinds)}")
    all_said(server, f"TELEMETRY\tName: {name}\tState: Subscribed", "Extension Main: Handle Shutdown Event")


def python_logs_extension(args, scratch):
    sample = layer(args.samples / "python-example-logs-api-extension", scratch / "layer")
    with served(args, FUNCTIONS / "plain", layers=[sample], timeout_s=TIMEOUT_S) as (server, _):
        greeted(server)
        greeted(server)
    all_said(server, "EXTENSION\tName: logs_api_http_extension.py\tState: Ready", "Successfully subscribed to Logs API",
             "BATCH RECEIVED: ", "platform.report")


def check_samples(report, args):
    for check in (shell_extensions, shell_demo, python_extension, python_telemetry_extension, python_logs_extension):
        name = f"AWS samples: {check.__name__.replace('_', ' ')}"
        if args.samples is None:
            report.skip(name, "no --samples, a checkout of github.com/aws-samples/aws-lambda-extensions")
        elif not next(args.venv.glob("lib/python*/site-packages/requests"), None):
            report.skip(name, f"no package requests in {args.venv}")
        else:
            with tempfile.TemporaryDirectory(prefix="firesteel-programs-") as scratch:
                report.check(name, check, args, Path(scratch).resolve())
