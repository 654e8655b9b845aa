"""The embedded AWS with the local stage deployed, shared by every suite that needs the whole of it."""

import json
import os
import shutil
import socket
from dataclasses import dataclass

import boto3
import pytest

from localaws import assembly, deploy, emulator
from samples import console
from samples.labeling import demo
from sextant.labeling import client
from sextant.labeling.client import Deployed


def pytest_configure(config):
    """A busy machine is slow, not wrong: properties have no deadline."""
    if config.pluginmanager.hasplugin("hypothesispytest"):
        from hypothesis import HealthCheck, settings

        settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)  # xdist's own reads the marks
def pytest_collection_modifyitems(items):
    """Where several workers share the suite, one has all tests of what takes long to make, and others go by file."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        file = item.nodeid.partition("::")[0]
        synthesized = "tests/infrastructure" if file.startswith("tests/infrastructure/") else file
        item.add_marker(pytest.mark.xdist_group("embedded" if "embedded" in item.fixturenames else synthesized))


_ENDPOINTS: list[str] = []
"""Of the embedded AWS, once the session has one."""


def pytest_runtest_setup(item):
    """Only tests of the embedded AWS talk to it unasked; it goes on running while others are at work."""
    for endpoint in _ENDPOINTS:
        if "embedded" in item.fixturenames:
            os.environ["AWS_ENDPOINT_URL"] = endpoint
        elif os.environ.get("AWS_ENDPOINT_URL") == endpoint:
            del os.environ["AWS_ENDPOINT_URL"]


@dataclass(frozen=True)
class Embedded:
    """A running embedded AWS. `session` is the account's root; `outputs` are those of the stacks, by stack name."""

    emulator: emulator.Emulator
    session: boto3.session.Session
    outputs: dict[str, dict[str, str]]

    def client(self, service: str, account: str = emulator.ACCOUNT, region: str = emulator.REGION):
        return boto3.client(
            service,
            endpoint_url=self.emulator.endpoint,
            aws_access_key_id=account,
            aws_secret_access_key="local",
            region_name=region,
        )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def cloud_assembly(tmp_path_factory):
    """The synthesized local stage."""
    return assembly.synthesize("local", tmp_path_factory.mktemp("assembly"))


@pytest.fixture(scope="session")
def embedded(tmp_path_factory, cloud_assembly):
    """One embedded AWS for the session, IAM enforced, on ports of its own."""
    state = tmp_path_factory.mktemp("embedded")
    running = emulator.start(state, port=free_port(), console_port=free_port())
    try:
        session = boto3.session.Session(
            aws_access_key_id=emulator.ACCOUNT, aws_secret_access_key="local", region_name=emulator.REGION
        )
        with pytest.MonkeyPatch.context() as patch:
            for name, value in running.environment().items():
                patch.setenv(name, value)
            _ENDPOINTS.append(running.endpoint)
            outputs = deploy.deploy(cloud_assembly, session)
            yield Embedded(running, session, outputs)
    finally:
        _ENDPOINTS.clear()
        emulator.stop(state)
        shutil.rmtree(state, ignore_errors=True)


@dataclass(frozen=True)
class Labeled:
    """The embedded AWS after the labeling sample went through its pipeline. `truth` was counted without it."""

    embedded: Embedded
    deployed: Deployed
    truth: dict
    checks: list

    def rows(self, sql, *parameters):
        return client.query(self.embedded.client("athena"), self.deployed, sql, parameters)


@pytest.fixture(scope="session")
def labeled(embedded, tmp_path_factory):
    """The labeling demo, run once."""
    folder = tmp_path_factory.mktemp("labeled")
    console.demo_user(embedded.session, embedded.outputs)
    checks = demo.demo(embedded.session, embedded.outputs, folder, lambda *_: None)
    truth = json.loads((folder / "sample" / "truth.json").read_text())
    return Labeled(embedded, Deployed.of(embedded.outputs["local-Labeling"]), truth, checks)
