"""The suites of other projects: where their tests are, and how they are told whom to ask."""

import os
from dataclasses import dataclass
from pathlib import Path

from stage import RUNTIME


@dataclass
class Suite:
    name: str
    checkout: Path
    # Its interpreter: a venv with what the tests import.
    python: Path
    account: str
    region: str
    tests: list
    # Whether its authors wait until what they make is there.
    settles = False
    # Of `serve`, for it.
    options = ()
    # Of what is about Lambda alone, the services that answer from beside us.
    beside = frozenset({"iam", "sts", "s3", "logs", "unsigned"})

    def folder(self, scratch):
        return self.checkout

    def environment(self, proxy):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | {"AWS_DEFAULT_REGION": self.region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                       "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}

    def excluded(self, marks):
        """Why a test is no record of AWS, or None."""
        return None


class LocalStack(Suite):
    """`tests/aws`: each test's answers are compared with those that AWS gave, which lie beside it as `*.snapshot.json`."""

    # They wait seconds for retries, as their own server comes with other delays in tests.
    options = ("--event-time-scale", "0.03")

    def environment(self, proxy):
        # Host names of function URLs are made from it, and found below `localhost`.
        proxy = proxy.replace("127.0.0.1", "localhost")
        return super().environment(proxy) | {"TEST_AWS_ENDPOINT_URL": f"http://{proxy}", "TEST_SKIP_LOCALSTACK_START": "1",
                                             "TEST_AWS_ACCOUNT_ID": self.account, "TEST_AWS_REGION_NAME": self.region,
                                             "LOCALSTACK_HOST": proxy, "GATEWAY_LISTEN": proxy}

    def excluded(self, marks):
        return None if {"aws_validated", "aws_manual_setup_required"} & set(marks) else "not recorded from AWS"


class Moto(Suite):
    """`tests/test_awslambda` in server mode: what its authors know of AWS. Their functions run on a Python that is here."""

    settles = True

    def folder(self, scratch):
        """The tests alone: the package beside them in the checkout is not the one that is installed."""
        (scratch / "tests").symlink_to(self.checkout.resolve() / "tests")
        return scratch

    def environment(self, proxy):
        return super().environment(proxy) | {"TEST_SERVER_MODE": "true", "TEST_SERVER_MODE_ENDPOINT": f"http://{proxy}",
                                             "MOTO_PORT": proxy.split(":")[1], "RECORDINGS_RUNTIME": RUNTIME}


def suites(args):
    if args.localstack:
        here = "tests/aws/services/lambda_"
        yield LocalStack("localstack", args.localstack, args.localstack_python, "000000000000", "us-east-1",
                         [f"{here}/{name}.py" for name in ("test_lambda_api", "test_lambda", "test_lambda_common",
                                                           "test_lambda_runtimes", "test_lambda_destinations")])
    if args.moto:
        yield Moto("moto", args.moto, args.moto_python, "123456789012", "us-west-2", ["tests/test_awslambda"])
