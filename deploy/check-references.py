"""What no schema knows: every name that a manifest uses exists, and every pod meets the restricted Pod Security Standard.

Usage: check-references.py RENDERED.yaml
"""

import pathlib
import re
import sys

import yaml

SECRET_EXAMPLE = "examples/secret.yaml"
WORKLOADS = ("Deployment", "StatefulSet")
# Where the services declare their variables: `#[arg(long, env = "LISTEN")]`.
SOURCES = "../{crate}/src"
CRATES = ("service-kit", "gateway", "chat-service", "milestone-service", "signaling-service")


def main(path):
    with open(path, encoding="utf-8") as file:
        resources = [resource for resource in yaml.safe_load_all(file) if resource]
    with open(SECRET_EXAMPLE, encoding="utf-8") as file:
        # base/ names this Secret without containing it.
        resources.append(yaml.safe_load(file))
    workloads = [resource for resource in resources if resource["kind"] in WORKLOADS]
    problems = [*check_selectors(resources, workloads), *check_targets(resources, workloads)]
    for workload in workloads:
        name = f"{workload['kind']} {workload['metadata']['name']}"
        for problem in check_pod(workload, resources):
            problems.append(f"{name}: {problem}")
    problems.extend(check_variables(resources))
    problems.extend(check_keys(resources[:-1]))
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problems or not workloads else 0


def check_selectors(resources, workloads):
    """Services and disruption budgets select exactly one workload, and named target ports exist there."""
    for resource in resources:
        selector = resource.get("spec", {}).get("selector")
        if resource["kind"] not in ("Service", "PodDisruptionBudget"):
            continue
        labels = selector.get("matchLabels", selector)
        selected = [w for w in workloads if labels.items() <= w["spec"]["template"]["metadata"]["labels"].items()]
        name = f"{resource['kind']} {resource['metadata']['name']}"
        if len(selected) != 1:
            yield f"{name} selects {len(selected)} workloads"
            continue
        for port in resource["spec"].get("ports", []):
            if port["targetPort"] not in port_names(selected[0]):
                yield f"{name}: no port {port['targetPort']}"


def check_targets(resources, workloads):
    """Autoscalers have a target, and stateful sets their headless service."""
    names = {(w["kind"], w["metadata"]["name"]) for w in workloads}
    services = {r["metadata"]["name"] for r in resources if r["kind"] == "Service"}
    for resource in resources:
        name = resource["metadata"]["name"]
        if resource["kind"] == "HorizontalPodAutoscaler":
            target = resource["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) not in names:
                yield f"HorizontalPodAutoscaler {name}: no target"
        if resource["kind"] == "StatefulSet" and resource["spec"]["serviceName"] not in services:
            yield f"StatefulSet {name}: no service"


def check_pod(workload, resources):
    pod = workload["spec"]["template"]["spec"]
    accounts = {r["metadata"]["name"] for r in resources if r["kind"] == "ServiceAccount"}
    if pod.get("serviceAccountName") not in accounts or pod.get("automountServiceAccountToken") is not False:
        yield "has no service account of its own, or mounts its token"
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "may run as root or without a seccomp profile"
    claims = {c["metadata"]["name"] for c in workload["spec"].get("volumeClaimTemplates", [])}
    volumes = claims | {volume["name"] for volume in pod.get("volumes", [])}
    config_maps = [v["configMap"]["name"] for v in pod.get("volumes", []) if "configMap" in v]
    yield from missing("ConfigMap", config_maps, resources)
    for container in pod["containers"]:
        yield from check_container(container, port_names(workload), volumes, resources)


def check_container(container, ports, volumes, resources):
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "may gain privileges"
    if not security.get("readOnlyRootFilesystem"):
        yield "may write to its image"
    for resource in ("requests", "limits"):
        if "memory" not in container["resources"].get(resource, {}):
            yield f"has no memory {resource}"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if probe not in container:
            yield f"has no {probe}"
        elif container[probe].get("httpGet", {}).get("port", next(iter(ports))) not in ports:
            yield f"{probe}: no such port"
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"no volume {mount['name']}"
    references = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
    yield from missing("ConfigMap", references, resources)
    yield from check_secrets(container.get("env", []), resources)


def check_secrets(env, resources):
    secrets = {
        secret["metadata"]["name"]: secret.get("data", {}) | secret.get("stringData", {})
        for secret in resources
        if secret["kind"] == "Secret"
    }
    known = set()
    for variable in env:
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        if reference and not reference.get("optional") and reference["key"] not in secrets.get(reference["name"], {}):
            yield f"no key {reference['key']} in a Secret {reference['name']}"
        for used in (part.split(")")[0] for part in variable.get("value", "").split("$(")[1:]):
            if used not in known:
                yield f"{variable['name']} uses {used}, which does not stand before it"
        known.add(variable["name"])


def check_variables(resources):
    """No service is given a variable that none of them knows: a renamed flag would be ignored without a word."""
    known = set()
    for crate in CRATES:
        for source in pathlib.Path(SOURCES.format(crate=crate)).rglob("*.rs"):
            known.update(re.findall(r'env = "([A-Z_]+)"', source.read_text(encoding="utf-8")))
    for resource in resources:
        if resource["kind"] == "ConfigMap" and resource["metadata"]["name"].startswith("realtime-config"):
            yield from (f"no service knows {name}" for name in resource["data"] if name not in known)
        if resource["kind"] == "Deployment":
            env = resource["spec"]["template"]["spec"]["containers"][0].get("env", [])
            used = " ".join(variable.get("value", "") for variable in env)
            names = [variable["name"] for variable in env if f"$({variable['name']})" not in used]
            yield from (f"{resource['metadata']['name']} does not know {name}" for name in names if name not in known)


def check_keys(resources):
    """A gateway refuses to start with both a secret and the URL of keys, and with that URL alone."""
    config = [r["data"] for r in resources if r["kind"] == "ConfigMap" and r["metadata"]["name"].startswith("realtime-config")]
    secrets = [r.get("data", {}) | r.get("stringData", {}) for r in resources if r["kind"] == "Secret"]
    if any("JWKS_URL" in data for data in config) and any("jwt-secret" in data for data in secrets):
        yield "JWKS_URL and a jwt-secret at once"
    for name in ("JWT_ISSUER", "JWT_AUDIENCE"):
        if any("JWKS_URL" in data and name not in data for data in config):
            yield f"JWKS_URL without {name}"


def missing(kind, names, resources):
    existing = {r["metadata"]["name"] for r in resources if r["kind"] == kind}
    return (f"no {kind} {name}" for name in names if name not in existing)


def port_names(workload):
    containers = workload["spec"]["template"]["spec"]["containers"]
    return {port["name"] for container in containers for port in container.get("ports", [])}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
