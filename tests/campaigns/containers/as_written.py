"""Trials of what docker-compose.yml says: that the engine has it so."""

from typing import Any

from tests.campaigns.containers.deployment import Deployment, health, in_order, moment


def everything_is_as_the_file_says(deployment: Deployment) -> str:
    """Users, read-only roots, capabilities, networks, restart policies, ports on loopback, jobs that ended well."""
    wrong: list[str] = []
    for name, service in deployment.services.items():
        found = deployment.container(name)
        host = found["HostConfig"]
        networks = {network.removeprefix(f"{deployment_name}_") for deployment_name in [found_project(found)]
                    for network in found["NetworkSettings"]["Networks"]}  # fmt: skip
        dropped = {str(one).removeprefix("CAP_") for one in host["CapDrop"] or []}
        ports = {binding["HostIp"] for bindings in (host["PortBindings"] or {}).values() for binding in bindings or []}
        policy = host["RestartPolicy"]
        checks = {
            f"user {service['user']}": found["Config"]["User"] == service["user"],
            "a read-only root": host["ReadonlyRootfs"] is True,
            "no capability": "ALL" in dropped or len(dropped) > 8,
            "no new privileges": any("no-new-privileges" in option for option in host["SecurityOpt"] or []),
            "a limit on processes": host["PidsLimit"] == service["pids_limit"],
            f"networks {service['networks']}": networks == set(service["networks"]),
            "ports on loopback": ports <= {"127.0.0.1"},
            f"restart {service['restart']}": service["restart"].startswith(policy["Name"]),
            "its state": _is_well(deployment, name, found["State"]),
        }
        wrong += [f"{name}: not {what}" for what, holds in checks.items() if not holds]
    assert not wrong, "; ".join(wrong)
    jobs = [name for name in deployment.services if deployment.is_job(name)]
    return (
        f"{len(deployment.services)} containers have the user, read-only root, capabilities, networks, ports and "
        f"restart policy of the file; {', '.join(jobs)} ended with 0, the others are healthy"
    )


def found_project(container: dict[str, Any]) -> str:
    return str(container["Config"]["Labels"]["com.docker.compose.project"])


def _is_well(deployment: Deployment, name: str, state: dict[str, Any]) -> bool:
    return state["ExitCode"] == 0 if deployment.is_job(name) else health(state) == "healthy"


def they_started_in_order(deployment: Deployment) -> str:
    """A job had ended before anything that waits for it started; a service had started."""
    states = {name: deployment.state(name) for name in deployment.services}
    pairs = 0
    for name, service in deployment.services.items():
        for dependency, wanted in service.get("depends_on", {}).items():
            ended = wanted["condition"] == "service_completed_successfully"
            before = states[dependency]["FinishedAt" if ended else "StartedAt"]
            assert moment(before) <= moment(states[name]["StartedAt"]), f"{name} started before {dependency}"
            pairs += 1
    return f"each of {pairs} conditions of `depends_on` was kept: {' → '.join(in_order(deployment.services))}"


def a_container_cannot_write_or_become_root(deployment: Deployment) -> str:
    """Asked of the running worker and gateway, from within."""
    script = "import os; print(os.getuid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    for name in ("worker", "gateway", "payment"):
        identifier = deployment.container(name)["Id"]
        uid, effective = deployment.engine.run("exec", identifier, "python", "-c", script).split()
        assert (uid, int(effective, 16)) == ("10001", 0), f"{name} runs as {uid} with capabilities {effective}"
        wrote = deployment.engine.run("exec", identifier, "python", "-c", "open('/app/x', 'w')", check=False)
        try_again = "import sys\ntry:\n open('/app/x','w')\nexcept OSError: sys.exit(0)\nsys.exit(1)"
        deployment.engine.run("exec", identifier, "python", "-c", try_again)
        assert not wrote
    return "our processes run as 10001, without a capability, and cannot write to their root file system"
