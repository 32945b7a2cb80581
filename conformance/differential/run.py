#!/usr/bin/env python3
"""Differential tests of the managed runtimes: our bootstraps against AWS's published runtime clients.

    python3 conformance/differential/run.py --python VENV_PYTHON --node-ric FOLDER [--node NODE] [--require-all]

Every row of `python_cases.py` and `nodejs_cases.py` is run twice, under our bootstrap and under AWS's client with the
same interpreter, against a scripted Runtime API (`scripted_api.py`). Compared are every request of the runtime (method,
path, headers that mean something, body, trailers), stdout, stderr and how the process ended, after clocks and the
clients' own stack frames have been taken out (`normalise.py`). A difference is a failure unless the row
accepts exactly that difference and says why. Standard library only.

A reference that is not given or cannot run is reported as SKIPPED, and all its rows are counted so.
"""

import argparse
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nodejs_cases
import python_cases
from case import Outcome
from normalise import Normaliser
from scripted_api import ScriptedApi

HERE = Path(__file__).resolve().parent
BOOTSTRAPS = HERE.parent.parent / "bootstraps"
LIMIT_S = 30
OLDEST_AWSLAMBDARIC = (4, 2)
HEADERS = (
    "content-type",
    "transfer-encoding",
    "trailer",
    "lambda-runtime-function-error-type",
    "lambda-runtime-function-response-mode",
    "lambda-runtime-function-xray-error-cause",
    "lambda-runtime-invocation-id",
)


class Runtime:
    """One way of running a function: a command line, and which files are the client's own."""

    def __init__(self, command, own_paths, env=None):
        self.command = command
        self.env = env or {}
        self.normaliser = Normaliser(own_paths)


def run_case(case, runtime, task_root, language_env):
    api = ScriptedApi(case.events, case.answers)
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": task_root,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_REGION": "eu-west-1",
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "sample",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/sample",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "_HANDLER": case.handler,
        **language_env,
        **runtime.env,
        **{name: value.replace("{task}", task_root) for name, value in case.env.items()},
    }
    telemetry_read = telemetry_write = None
    if case.telemetry_fd:
        telemetry_read, telemetry_write = os.pipe()
        os.set_inheritable(telemetry_write, True)
        env["_LAMBDA_TELEMETRY_LOG_FD"] = str(telemetry_write)
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(runtime.command, cwd=task_root, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                   pass_fds=(telemetry_write,) if case.telemetry_fd else ())
        if case.telemetry_fd:
            os.close(telemetry_write)
        ended = wait(process, api, case.final_signal)
        api.close()
        texts = []
        for stream in (stdout, stderr):
            stream.seek(0)
            texts.append(runtime.normaliser.text(stream.read().decode("utf-8", "backslashreplace").replace(api.address, "<api>")))
    requests = [render(call, runtime.normaliser) for call in api.calls]
    if case.telemetry_fd:
        with os.fdopen(telemetry_read, "rb") as frames:
            requests += [runtime.normaliser.text(line) for line in telemetry_frames(frames.read())]
    return Outcome(requests, *texts, ended)


def wait(process, api, final_signal):
    """Ends when the process has, or when it waits in the `next` that is never answered."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            code = process.wait(timeout=0.005)
            return f"exit {code}" if code >= 0 else f"signal {-code}"
        except subprocess.TimeoutExpired:
            pass
        if api.exhausted.is_set():
            if final_signal is None:
                process.kill()
                process.wait()
                return "waiting for the next event"
            process.send_signal(final_signal)
            final_signal = signal.SIGCONT  # sent again and again, it changes nothing
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return f"still busy after {LIMIT_S} s"


def telemetry_frames(raw):
    """4 bytes type, 4 bytes length, 8 bytes time in microseconds, the message."""
    while raw:
        length = int.from_bytes(raw[4:8], "big")
        age_s = abs(time.time() - int.from_bytes(raw[8:16], "big") / 1e6)
        yield f"frame {raw[:4].hex()} recent={age_s < 60} {raw[16:16 + length].decode()!r}"
        raw = raw[16 + length:]


def render(call, normaliser):
    lines = [f"{call.method} {call.path}"]
    for name in HEADERS:
        if name in call.headers:
            value = call.headers[name]
            lines.append(f"  {name}: {normaliser.cause(value) if name.endswith('error-cause') else value}")
    if call.body:
        lines.append("  " + normaliser.body(call.body))
    for name, value in sorted(call.trailers.items()):
        lines.append(f"  trailer {name}: {normaliser.trailer(name, value)}")
    return "\n".join(lines)


def differences(case, version, ours, theirs):
    """What differs after the row's acceptances, and acceptances that were not needed."""
    found = []
    for name in ("requests", "stdout", "stderr", "exit"):
        left, right = ours.aspect(name), theirs.aspect(name)
        for accepted in case.accept:
            if accepted.aspect != name or accepted.versions and not accepted.versions[0] <= version[:2] <= accepted.versions[1]:
                continue
            if left == right and not accepted.by_chance:
                found.append(f"{name}: this acceptance is not needed: {accepted.reason}")
            left = re.sub(accepted.pattern, accepted.replacement, left, flags=re.S)
            right = re.sub(accepted.pattern, accepted.replacement, right, flags=re.S)
        if left != right:
            found.append("\n        ".join([f"{name}:", *changed_lines(left, right)]))
    return found


def changed_lines(ours, theirs):
    """Only what differs, each line cut around its first difference."""
    left, right = re.split("[\n\r]", ours), re.split("[\n\r]", theirs)
    for tag, i, j, k, m in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag != "equal":
            start = len(os.path.commonprefix([left[i], right[k]])) if j > i and m > k else 0
            yield from (f"ours   {clip(line, start)}" for line in left[i:j])
            yield from (f"AWS's  {clip(line, start)}" for line in right[k:m])


def clip(line, start):
    start = max(0, start - 100)
    return ("… " if start else "") + line[start:start + 400] + (" …" if len(line) > start + 400 else "")


def compare(language, cases, version, ours, theirs, language_env, args, counts):
    label = f"{language} {'.'.join(map(str, version))}"
    skipped = 0
    with tempfile.TemporaryDirectory(prefix="firesteel-differential-") as scratch:
        task_root = str(Path(scratch).resolve() / "task")
        shutil.copytree(HERE / "functions" / language, task_root)
        for case in cases:
            if args.only and not re.search(args.only, case.name) or not case.since <= version[:2] <= case.until:
                continue
            if theirs is None and not case.ours_only:
                skipped += 1
                continue
            mine = run_case(case, ours, task_root, language_env)
            if args.show:
                print(f"=== ours {case.name}\n{mine}")
            if case.ours_only:
                wrong = [] if re.search(case.ours_only, mine.aspect("requests"), re.S) else [f"expected {case.ours_only}, got\n{mine}"]
            else:
                reference = run_case(case, theirs, task_root, language_env)
                if args.show:
                    print(f"=== AWS's {case.name}\n{reference}")
                wrong = differences(case, version, mine, reference)
            counts["failed" if wrong else "passed"] += 1
            note = f"  ({len(case.accept)} accepted)" if case.accept else "  (ours alone)" if case.ours_only else ""
            print(f"{'FAILED ' if wrong else 'ok     '}  {label}  {case.name}{note}", *wrong, sep="\n    ", flush=True)
    counts["skipped"] += skipped
    if skipped:
        print(f"SKIPPED  {label}  {skipped} rows: no reference to compare with")
        return
    accepted = sorted({accepted.reason for case in cases for accepted in case.accept})
    if accepted:
        print(f"\nAccepted differences, {language}:", *accepted, sep="\n  - ")
        print()


def python_runtimes(interpreter, scratch):
    probe = subprocess.run([interpreter, "-c", "import awslambdaric as ric, sys; print(*sys.version_info[:3], ric.__version__, ric.__path__[0])"],
                           capture_output=True, text=True)
    reference = ric_version = None
    if probe.returncode == 0:
        *version, ric_version, folder = probe.stdout.split()
        # As on AWS, where a small bootstrap.py puts the function's code first and calls the client's main.
        launcher = Path(scratch) / "launcher.py"
        launcher.write_text("import os, sys\nsys.path[0] = os.environ['LAMBDA_TASK_ROOT']\n"
                            "from awslambdaric.__main__ import main\nmain(['bootstrap', os.environ['_HANDLER']])\n")
        reference = Runtime([interpreter, str(launcher)], [folder, str(launcher)])
    else:
        print(f"SKIPPED: {interpreter} cannot import awslambdaric; nothing to compare the Python bootstrap with")
        version = subprocess.run([interpreter, "-c", "import sys; print(*sys.version_info[:3])"],
                                 capture_output=True, text=True, check=True).stdout.split()
    if ric_version and tuple(map(int, ric_version.split(".")[:2])) < OLDEST_AWSLAMBDARIC:
        # pip finds older and older releases for Pythons that AWS no longer updates.
        print(f"SKIPPED: awslambdaric {ric_version} under {interpreter} is older than the client our bootstrap follows")
        reference = None
    folder = BOOTSTRAPS / "python"
    return tuple(map(int, version)), Runtime([interpreter, str(folder / "bootstrap.py")], [str(folder)]), reference


def node_runtimes(node, ric, scratch):
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    version = tuple(map(int, version.lstrip("v").split(".")))
    folder = BOOTSTRAPS / "nodejs"
    ours = Runtime([node, str(folder / "index.mjs")], [str(folder)])
    root = Path(ric).resolve() / "node_modules" / "aws-lambda-ric" if ric else None
    if root is None or not root.is_dir():
        print(f"SKIPPED: no aws-lambda-ric under {ric}; nothing to compare the Node.js bootstrap with")
        return version, ours, None
    if (root / "dist" / "index.mjs").is_file():
        # Up to 3.x the package exports `run`; the managed runtime calls it from its own index.mjs, as done here.
        launcher = Path(scratch) / "launcher.mjs"
        launcher.write_text(f'import {{ run }} from "{root}/dist/index.mjs";\n'
                            "await run(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);\n")
        generation, command, own = "classic", [node, str(launcher)], [str(root), str(launcher)]
    else:
        generation, command, own = "modern", [node, str(root / "index.mjs")], [str(root)]
    wanted = "modern" if version[0] >= 24 else "classic"
    if generation != wanted:
        print(f"SKIPPED: Node.js {version[0]} on AWS runs the {wanted} client; {root} is the {generation} one")
        return version, ours, None
    return version, ours, Runtime(command, own)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="INTERPRETER",
                        help="a Python that can import awslambdaric (may be given again)")
    parser.add_argument("--node-ric", action="append", default=[], metavar="FOLDER",
                        help="a folder with node_modules/aws-lambda-ric (may be given again)")
    parser.add_argument("--node", action="append", default=[], metavar="NODE", help="the Node.js for the --node-ric of the same position")
    parser.add_argument("--only", metavar="REGEX", help="only rows whose name matches")
    parser.add_argument("--show", action="store_true", help="print everything that was observed")
    parser.add_argument("--require-all", action="store_true", help="a skipped row is a failure")
    args = parser.parse_args()
    counts = {"passed": 0, "failed": 0, "skipped": 0}

    with tempfile.TemporaryDirectory(prefix="firesteel-differential-") as scratch:
        for interpreter in args.python or ([] if args.node_ric else [sys.executable]):
            version, ours, theirs = python_runtimes(interpreter, scratch)
            env = {"AWS_EXECUTION_ENV": f"AWS_Lambda_python{version[0]}.{version[1]}", "PYTHONDONTWRITEBYTECODE": "1"}
            compare("python", python_cases.CASES, version, ours, theirs, env, args, counts)
        for index in range(max(1, len(args.node_ric))):
            ric = args.node_ric[index] if args.node_ric else None
            node = args.node[index] if index < len(args.node) else shutil.which("node")
            if node is None:
                counts["skipped"] += len(nodejs_cases.CASES)
                print("SKIPPED: no Node.js on this host")
                continue
            version, ours, theirs = node_runtimes(node, ric, scratch)
            env = {"AWS_EXECUTION_ENV": f"AWS_Lambda_nodejs{version[0]}.x"}
            compare("nodejs", nodejs_cases.CASES, version, ours, theirs, env, args, counts)

    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] or args.require_all and counts["skipped"] else 0


if __name__ == "__main__":
    sys.exit(main())
