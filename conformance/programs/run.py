#!/usr/bin/env python3
"""Real programs on `firesteel serve`, unchanged: extensions, adapters and streaming functions as people deploy them.

    python3 conformance/programs/run.py --program target/release/firesteel [--samples CHECKOUT] [--require-all]

    extension_checks.py     extensions in shell, in Python and on the crate lambda-extension; Telemetry and Logs API
    web_adapter_checks.py   the crate lambda_web_adapter in front of a web server, buffered and streaming
    streaming_checks.py     functions on the managed Node.js runtime, aws-lambda-ric and lambda_runtime, under boto3 and
                            the SDK for JavaScript
    concurrency_checks.py   lambda_runtime with concurrency-tokio, several invocations at a time
    sample_checks.py        AWS's sample extensions

What is compiled is made by `conformance/programs/build`, the SDKs are installed by `.ci/run`; both below `target/ci`,
where they are looked for. What is not there is reported as SKIPPED. Standard library only.
"""

import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The server as a child, the report, and the environment of callers are those of the neighbouring suite.
sys.path.append(str(HERE.parent / "clients"))

import concurrency_checks
import extension_checks
import sample_checks
import streaming_checks
import web_adapter_checks
from report import Report

CI = HERE.parent.parent / "target" / "ci"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, metavar="PATH", type=Path, help="the program firesteel")
    parser.add_argument("--rust", metavar="FOLDER", type=Path, default=CI / "programs" / "debug",
                        help="where the programs of conformance/programs/rust were built [%(default)s]")
    parser.add_argument("--web-adapter", metavar="PATH", type=Path, default=CI / "web-adapter" / "bin" / "lambda-adapter",
                        help="the program of the crate lambda_web_adapter [%(default)s]")
    parser.add_argument("--venv", metavar="FOLDER", type=Path, default=CI / "venv",
                        help="a venv with boto3, for AWS's samples with requests too [%(default)s]")
    parser.add_argument("--node", metavar="FOLDER", type=Path, default=CI / "node",
                        help="a folder whose node_modules has @aws-sdk/client-lambda and aws-lambda-ric [%(default)s]")
    parser.add_argument("--samples", metavar="CHECKOUT", type=Path, help="a checkout of aws-samples/aws-lambda-extensions")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, help="only checks whose name matches")
    parser.add_argument("--require-all", action="store_true", help="a skipped check is a failure")
    args = parser.parse_args()
    report = Report(args.only)
    extension_checks.check_extensions(report, args)
    web_adapter_checks.check_web_adapter(report, args)
    streaming_checks.check_streaming(report, args)
    concurrency_checks.check_concurrency(report, args)
    sample_checks.check_samples(report, args)
    print(report)
    return 1 if report.failed or args.require_all and report.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
