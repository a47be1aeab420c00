"""deploy/kubernetes: valid by Kubernetes' and KEDA's schemas, and as closed as a patient's messages deserve."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from messaging_service.application.topology import topology
from messaging_service.config import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KEDA = Path(__file__).parents[1] / "parts" / "npm" / "keda.mjs"
VERSION = "1.31"
STEPS = ["persist", "file", "escalate", "notify", "park", "receive", "clock"]


def _manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield from document.get("items", [document])


MANIFESTS = list(_manifests())
DEPLOYMENTS = [each for each in MANIFESTS if each["kind"] == "Deployment"]


def named(manifest: dict[str, Any]) -> str:
    """Kind and name."""
    return f"{manifest['kind']} {manifest.get('metadata', {}).get('name', '')}"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=named)
def test_it_is_valid(manifest: dict[str, Any]) -> None:
    """The published schema knows every field; a misspelt one is a fault too."""
    if "keda" in manifest["apiVersion"]:
        done = subprocess.run(["node", KEDA], input=json.dumps(manifest), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif manifest["kind"] == "Kustomization":
        assert {FOLDER / name for name in manifest["resources"]} == {
            path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml"
        }
    else:
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_every_step_has_a_deployment() -> None:
    """The gateway and each step, by the command that runs it."""
    run = {each["metadata"]["name"]: container(each)["args"] for each in DEPLOYMENTS}
    assert run.pop("gateway") == ["gateway"]
    assert list(run) == STEPS
    assert all(arguments[:2] == ["worker", name] for name, arguments in run.items())


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=named)
def test_a_pod_has_no_rights(deployment: dict[str, Any]) -> None:
    """Nobody, a read-only disk, no capability, no token of the cluster; bounded, probed, and given time to stop."""
    pod, runs = deployment["spec"]["template"]["spec"], container(deployment)
    assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"]) == (False, True)
    assert pod["securityContext"]["runAsUser"] == 65534
    assert runs["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert runs["resources"]["limits"]["memory"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= runs.keys()
    assert pod["terminationGracePeriodSeconds"] == 60
    assert all(mount["readOnly"] for mount in runs["volumeMounts"] if mount["name"] != "scratch")


def test_what_there_are_two_of_may_not_all_go_at_once() -> None:
    """A disruption budget for each deployment of more than one pod."""
    budgets = {each["metadata"]["name"] for each in MANIFESTS if each["kind"] == "PodDisruptionBudget"}
    assert budgets == {each["metadata"]["name"] for each in DEPLOYMENTS if each["spec"]["replicas"] > 1}


def test_nothing_is_open_that_is_not_named() -> None:
    """One policy closes everything, both ways."""
    (closed,) = [each for each in MANIFESTS if named(each) == "NetworkPolicy nothing-else"]
    assert closed["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_process_may_tell_operations() -> None:
    """The webhook and mail are set, by secret; policies let every pod reach the webhook and the collector of traces."""
    (settings,) = [each["data"] for each in MANIFESTS if each["kind"] == "ConfigMap"]
    for name in ("OPS_WEBHOOK", "SMTP", "BROKER", "STORE"):
        assert settings[f"MESSAGING_{name}"].startswith("file:/run/secrets/servers/")
    known = {f"MESSAGING_{field.upper()}" for field in Settings.__struct_fields__}
    assert {name for name in settings if name.startswith("MESSAGING_")} <= known
    (policy,) = [each["spec"] for each in MANIFESTS if named(each) == "NetworkPolicy alerts-and-traces"]
    assert policy["podSelector"] == {"matchLabels": {"app.kubernetes.io/part-of": "messaging-service"}}
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {443, 4318}


def test_scaling_looks_at_queues_that_exist() -> None:
    """Each trigger names a queue of the shipped tenants, and the scaled deployment is one of ours."""
    queues = {queue.name for queue in topology(["spijkenisse", "sein"]).queues}
    for scaled in (each for each in MANIFESTS if each["kind"] == "ScaledObject"):
        assert scaled["spec"]["scaleTargetRef"]["name"] in STEPS
        assert {trigger["metadata"]["queueName"] for trigger in scaled["spec"]["triggers"]} <= queues


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    """The one container of its pods."""
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)
