"""The life that `cargo lambda` gives a function: deployed, deployed again, invoked."""

import json
import re
import subprocess
from pathlib import Path

from caller import environment
from report import Mismatch, equal, holds
from stage import ROLE

# Where it is called: the package of what is deployed, whose settings it reads.
PACKAGE = Path(__file__).resolve().parents[2] / "examples" / "rust-hello"
LIMIT_S = 60


class CargoLambda:
    def __init__(self, program, bootstrap, world):
        self.program = program
        self.bootstrap = bootstrap
        self.world = world

    def run(self, command, *arguments):
        return subprocess.run([str(self.program), "lambda", command, "--endpoint-url", self.world.endpoint, "--region", "us-east-1", *arguments],
                              capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL, cwd=PACKAGE,
                              env=environment(**self.world.keys))

    def succeeded(self, command, *arguments):
        done = self.run(command, *arguments)
        if done.returncode != 0:
            raise Mismatch(f"exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def deployed(self, *arguments):
        """What it tells of a deployment, after its progress."""
        told = self.succeeded("deploy", "--binary-path", str(self.bootstrap), "--output-format", "json", *arguments)
        return json.loads(told[told.index("{"):])

    def deploy(self, *arguments):
        return self.deployed("--iam-role", ROLE, *arguments, "greeter")

    def invoke(self, function, *arguments):
        return self.run("invoke", "--remote", "--data-ascii", '{"name": "Ada"}', "--output-format", "json", *arguments, function)


def deploy(cargo):
    deployed = cargo.deploy()
    equal(deployed["function_arn"], "arn:aws:lambda:us-east-1:000000000000:function:greeter", "ARN")


def invoke(cargo, *arguments):
    done = cargo.invoke("greeter", *arguments)
    equal(done.returncode, 0, f"exit ({done.stderr.strip()})")
    equal(json.loads(done.stdout)["message"], "Hello, Ada!", "message")


def deploy_with_other_settings(cargo):
    cargo.deploy("--memory", "256", "--timeout", "7", "--env-var", "GREETING=hei", "--tag", "team=blue")
    invoke(cargo)


def deploy_with_an_alias(cargo):
    cargo.deploy("--alias", "live")
    invoke(cargo, "--alias", "live")


def deploy_with_a_url(cargo):
    deployed = cargo.deploy("--enable-function-url")
    holds(re.match(r"https?://", deployed.get("function_url") or ""), f"a URL wanted, {deployed} seen")
    cargo.deploy("--disable-function-url")


def deploy_a_layer(cargo):
    """An extension, as it calls what is published as a layer."""
    equal(cargo.deployed("--extension", "watcher")["extension_arn"], "arn:aws:lambda:us-east-1:000000000000:layer:watcher:1", "ARN")


def invoke_what_is_not_there(cargo):
    done = cargo.invoke("nobody")
    holds(done.returncode != 0 and "ResourceNotFound" in done.stderr, f"a refusal wanted, exit {done.returncode}: {done.stderr}")


CHECKS = [deploy, invoke, deploy_with_other_settings, deploy_with_an_alias, deploy_with_a_url, deploy_a_layer, invoke_what_is_not_there]


def check(report, args, served):
    names = [(f"cargo lambda: {each.__name__.replace('_', ' ')}", each) for each in CHECKS]
    if not any(report.wanted(name) for name, _ in names):
        return
    if args.cargo_lambda is None or args.rust_hello is None or not args.rust_hello.is_file():
        for name, _ in names:
            report.skip(name, "needs --cargo-lambda, and a program to deploy: --rust-hello")
        return
    with served(args) as world:
        cargo = CargoLambda(args.cargo_lambda, args.rust_hello.resolve(), world)
        for name, each in names:
            report.check(name, each, cargo)
