"""`python -m tests.security.audit_dependencies`: known vulnerabilities in what the lock files pin (PyPA's `pip-audit`).

Exit code 1 for a finding, or for a lock without hashes. Without the advisory database (offline, or a package index that
has none) it says so and how much was not audited, and ends with 0: a build must not depend on somebody else's server.
Arguments are passed on, so an advisory that does not concern us is named: `--ignore-vuln GHSA-…`.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = tuple(f"requirements/{name}.lock" for name in ("image", "stack", "dev", "bench"))
_PIN = re.compile(r"^[A-Za-z0-9_.\[\]-]+==\S+", re.MULTILINE)
PATIENCE = 180  # seconds for one lock

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass
class Verdict:
    """`findings` as lines to print; `unaudited` names what nobody could answer for."""

    audited: int = 0
    findings: list[str] = field(default_factory=list)
    unaudited: list[str] = field(default_factory=list)
    trouble: str = ""


def main(arguments: Sequence[str], run: Run | None = None) -> int:
    failed = False
    for lock in distinct(LOCKS):
        verdict = audit(PROJECT / lock, arguments, run or _run)
        print(f"{lock}: {summary(verdict)}")
        for finding in verdict.findings:
            print(f"  {finding}")
        failed |= bool(verdict.findings)
    return 1 if failed else 0


def distinct(locks: Sequence[str]) -> list[str]:
    """The locks without those that another one holds whole: nobody is asked twice."""
    pins = {lock: set(_PIN.findall((PROJECT / lock).read_text())) for lock in locks}
    return [lock for lock in locks if not any(pins[lock] < pins[other] for other in locks)]


def audit(lock: Path, arguments: Sequence[str], run: Run) -> Verdict:
    """Ask `pip-audit` about one lock file. It resolves nothing (`--disable-pip`): what is pinned is what is asked."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10", *arguments]
    try:
        done = run(command)
        report = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Verdict(trouble=type(error).__name__)
    except ValueError:
        complaint = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        # A lock that pip-audit refuses is a finding; a server that does not answer is not.
        if "hash" in complaint.lower():
            return Verdict(findings=[complaint])
        return Verdict(trouble=complaint[:200])
    return _read(report)


def summary(verdict: Verdict) -> str:
    if verdict.findings:
        return f"{len(verdict.findings)} FINDINGS"
    if verdict.trouble:
        return f"NOT AUDITED, the advisory database cannot be reached ({verdict.trouble})"
    if verdict.unaudited:
        names = ", ".join(verdict.unaudited[:3]) + (", …" if len(verdict.unaudited) > 3 else "")
        total = verdict.audited + len(verdict.unaudited)
        return f"NOT AUDITED: {len(verdict.unaudited)} of {total}, the advisory database does not answer for {names}"
    return f"{verdict.audited} packages, no known vulnerability"


def _read(report: dict[str, list[dict[str, object]]]) -> Verdict:
    verdict = Verdict()
    for package in report["dependencies"]:
        if "skip_reason" in package:
            verdict.unaudited.append(str(package["name"]))
            continue
        verdict.audited += 1
        found = package["vulns"]
        assert isinstance(found, list)
        for vulnerability in found:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            verdict.findings.append(f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {fixed}")
    return verdict


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
