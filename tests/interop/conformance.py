"""The MCP conformance suite, held against `conformance-baseline.md`: a scenario that changes state fails, either way."""

import os
import pathlib
import re
import subprocess

from checks import Checks

REVISIONS = ["2025-11-25", "2026-07-28"]
RAN = re.compile(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed", re.MULTILINE)

checks = Checks("conformance")
place = pathlib.Path(os.environ["INTEROP_PLACE"])
work = pathlib.Path(os.environ["INTEROP_WORK"])


def expected():
    """The rows of the baseline's tables: what each scenario does under each revision."""
    states = {revision: {} for revision in REVISIONS}
    baseline = pathlib.Path(__file__).with_name("conformance-baseline.md").read_text()
    for row in re.findall(r"^\| `([^`]+)` \|([^|]*)\|([^|]*)\|", baseline, re.MULTILINE):
        for revision, state in zip(REVISIONS, row[1:]):
            if state.strip() != "–":
                states[revision][row[0]] = state.strip()
    return states


def found(revision):
    program = place / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    command = [os.environ["NODE"], program, "server", "--url", os.environ["CONFORMANCE_URL"]]
    command += ["--requirements", revision, "-o", work / f"conformance-{revision}"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    (work / f"conformance-{revision}.log").write_text(ran.stdout)
    _, _, summary = ran.stdout.partition("=== SUMMARY ===")
    return {name: state(int(passed), int(failed)) for name, passed, failed in RAN.findall(summary)}


def state(passed, failed):
    if failed:
        return "fails"
    return "passes" if passed else "checks nothing"


for revision, wanted in expected().items():
    results = found(revision)
    for scenario in sorted(wanted.keys() | results.keys()):
        with checks.check(f"{revision} {scenario}: {wanted.get(scenario, 'not in the baseline')}"):
            if results.get(scenario, "did not run") != wanted.get(scenario):
                raise AssertionError(f"now it {results.get(scenario, 'did not run')}")

checks.end()
