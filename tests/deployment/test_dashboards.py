"""deploy/dashboards: promtool and the service itself agree with what is asked there; each alert has its entry."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import yaml

from messaging_service.adapters.metrics import Metrics
from tests.parts.certificate import self_signed

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = DEPLOY / "dashboards"
GUIDES = DEPLOY / "guides"
_METRIC = re.compile(r"\bmessaging_[a-z_]+")


def exported() -> set[str]:
    """Every series that a process of the service can show, as PromQL names it."""
    names = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


def promtool(*arguments: str) -> str:
    """What promtool says; fails the test unless it is content."""
    done = subprocess.run(["promtool", *arguments], cwd=DASHBOARDS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_hold() -> None:
    """promtool reads the rules, and plays each alert's beginning and end."""
    assert "SUCCESS" in promtool("check", "rules", "rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml")


def test_the_configuration_is_read(tmp_path: Path) -> None:
    """promtool reads the scrape configuration, and how it is served, with certificates where the secrets would lie."""
    (tmp_path / "ca.pem").touch()
    (tmp_path / "rules.yml").write_text((DASHBOARDS / "rules.yml").read_text())
    for name in ("prometheus.yml", "prometheus-kubernetes.yml"):
        text = (DASHBOARDS / name).read_text().replace("/run/secrets", str(tmp_path))
        text = re.sub(r"\n +kubernetes_sd_configs:.*", "", text)  # Debian builds promtool without it
        (tmp_path / name).write_text(text)
        assert "SUCCESS" in promtool("check", "config", str(tmp_path / name))
    certificate = self_signed(tmp_path).read_bytes()
    for name in ("metrics.pem", "metrics.key"):
        (tmp_path / name).write_bytes(certificate)
    (tmp_path / "web.yml").write_text((DASHBOARDS / "web.yml").read_text().replace("/run/secrets", str(tmp_path)))
    promtool("check", "web-config", str(tmp_path / "web.yml"))


def test_every_alert_is_tried_and_has_a_runbook_entry() -> None:
    """Each alert is in the rules' tests, and the heading that its annotation points to is in the runbook."""
    (group,) = yaml.safe_load((DASHBOARDS / "rules.yml").read_text())["groups"]
    tested = (DASHBOARDS / "rules_test.yml").read_text()
    runbook = (GUIDES / "runbook.md").read_text()
    for rule in group["rules"]:
        assert rule["annotations"]["runbook"] == f"runbook.md#{rule['alert'].lower()}"
        assert f"## {rule['alert']}\n" in runbook
        assert f"alertname: {rule['alert']}\n" in tested


def test_nothing_silences_an_alarm_that_has_not_got_out() -> None:
    """Alertmanager's rules, with everything wrong at once: what is left to be told still says to telephone."""
    down = {"alertname": "MessagingServerDown", "server": "store"}
    cut_off = {"alertname": "MessagingCutOff", "server": "store"}
    alarm = {"alertname": "MessagingAlarmWaits", "queue": "escalate.sein"}
    on_call = {"alertname": "MessagingStepWaits", "step": "escalate.sein"}
    ours = {"alertname": "MessagingRefuses", "problem": "internal"}
    stored = {"alertname": "MessagingUrgentWaits", "step": "persist"}
    epd = {"alertname": "MessagingStepWaits", "step": "file.sein"}
    explained = [
        {"alertname": "MessagingUrgentWaits", "step": "file.sein"},
        {"alertname": "MessagingBacklog", "step": "file.sein"},
    ]
    elsewhere = {"alertname": "MessagingUrgentWaits", "step": "file.spijkenisse"}
    assert told([epd, *explained, elsewhere, alarm, on_call]) == [epd, elsewhere, alarm, on_call]
    refuses = {"alertname": "MessagingRefuses", "problem": "unavailable"}
    assert told([down, epd, refuses, alarm, on_call, ours, stored]) == [down, alarm, on_call, ours, stored]
    assert told([cut_off, *explained, alarm, refuses]) == [cut_off, *explained, alarm, refuses]
    closed = {"alertname": "MessagingStepWaits", "step": "persist"}
    assert told([closed, stored]) == [closed, stored]


def told(firing: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those that alertmanager.yml's inhibit_rules leave, by Alertmanager's own definition of them."""
    rules = yaml.safe_load((DASHBOARDS / "alertmanager.yml").read_text())["inhibit_rules"]

    def silenced(alert: dict[str, str]) -> bool:
        return any(
            matches(alert, rule["target_matchers"])
            and any(
                matches(source, rule["source_matchers"])
                and all(source.get(label, "") == alert.get(label, "") for label in rule.get("equal", ()))
                for source in firing
            )
            for rule in rules
        )

    return [alert for alert in firing if not silenced(alert)]


def matches(alert: dict[str, str], matchers: list[str]) -> bool:
    """A label that is not there counts as empty."""
    for matcher in matchers:
        name, how, value = matcher.split(maxsplit=2)
        found, value = alert.get(name, ""), value.strip('"')
        held = re.fullmatch(value, found) is not None if how.endswith("~") else found == value
        if held == how.startswith("!"):
            return False
    return True


def test_what_is_asked_for_is_exported() -> None:
    """Rules and dashboard ask for no series that the service does not have."""
    dashboard = json.loads((DASHBOARDS / "grafana" / "dashboards" / "messaging.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked += (DASHBOARDS / "rules.yml").read_text()
    assert set(_METRIC.findall(asked)) <= exported()


def test_every_metric_is_on_its_page_and_on_the_dashboard() -> None:
    """The page explains each metric, and the dashboard shows it."""
    page = (GUIDES / "metrics.md").read_text()
    dashboard = (DASHBOARDS / "grafana" / "dashboards" / "messaging.json").read_text()
    for family in Metrics().registry.collect():
        assert f"`{family.name}" in page, family.name
        assert family.name in dashboard, family.name
