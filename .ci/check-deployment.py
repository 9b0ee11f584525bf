"""Fails if the Kubernetes manifests say something that they must not, or leave out what they must have."""

import re
import sys
from pathlib import Path

import yaml

MANIFESTS = Path("deploy/kubernetes")
HTTP = Path("aegis-http/src")
SECRET = re.compile(r"(password|secret|token|key|url)\b", re.I)


def documents() -> list[dict]:
    return [d for path in sorted(MANIFESTS.glob("*.yaml")) for d in yaml.safe_load_all(path.read_text()) if d]


def check(found: list[dict]) -> list[str]:
    bad: list[str] = []
    must = lambda holds, what: None if holds else bad.append(what)
    kinds = {d["kind"]: d for d in found}
    must(len(kinds) == len(found), "two objects of one kind: this check looks at the last alone")
    for kind in ("ServiceAccount", "ConfigMap", "Deployment", "PodDisruptionBudget", "Service"):
        must(kind in kinds, f"there is no {kind}")
    if bad:
        return bad
    deployment, pod = kinds["Deployment"], kinds["Deployment"]["spec"]["template"]
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    selects = lambda selector: selector.items() <= labels.items()
    must(selects(deployment["spec"]["selector"]["matchLabels"]), "the Deployment selects other pods")
    must(selects(kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]), "the budget selects other pods")
    must(selects(kinds["Service"]["spec"]["selector"]), "the Service selects other pods")
    must(deployment["spec"]["replicas"] >= 2, "one replica is no several replicas")
    budget = kinds["PodDisruptionBudget"]["spec"].get("maxUnavailable")
    must(budget == 1, "the budget lets more than one replica go at a time")
    must(spec["serviceAccountName"] == kinds["ServiceAccount"]["metadata"]["name"], "the pod is another account's")
    must(not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & kinds.keys(), "there is a right that nothing needs")
    must(spec.get("automountServiceAccountToken") is False, "the pod has a token of the Kubernetes API")
    must(spec["securityContext"].get("runAsNonRoot") is True, "the pod may run as root")
    must(spec["terminationGracePeriodSeconds"] > 30, "a shutdown may take 30 s")

    paths = set(re.findall(r'path = "(/\w+)"', "".join(f.read_text() for f in HTTP.rglob("*.rs"))))
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        safe = container["securityContext"]
        must(safe.get("readOnlyRootFilesystem") is True, "the root file system can be written")
        must(safe.get("allowPrivilegeEscalation") is False, "it may gain privileges")
        must(safe.get("capabilities", {}).get("drop") == ["ALL"], "it has capabilities")
        must("memory" in container["resources"]["limits"], "its memory has no limit")
        probes = {p: container[p]["httpGet"]["path"] for p in ("startupProbe", "livenessProbe", "readinessProbe")}
        must(probes["livenessProbe"] == "/livez" and probes["readinessProbe"] == "/readyz", "the probes are mixed up")
        must(set(probes.values()) <= paths, f"the API has not all of {sorted(set(probes.values()))}")
        for variable in container.get("env", []):
            must("value" not in variable or not SECRET.search(variable["name"]), f"{variable['name']} may be a secret")
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        must(mounted == volumes, f"not mounted or not there: {sorted(mounted ^ volumes)}")
    for line in kinds["ConfigMap"]["data"]["aegis.toml"].splitlines():
        key, _, value = line.partition("#")[0].partition(" = ")
        is_reference = key.endswith(("_file", "_env")) or key in ("url", "sha256") and "@" not in value
        must(not SECRET.search(key) or is_reference, f"{key} is a secret in the open")
    return bad


problems = check(documents())
print(*problems, sep="\n")
sys.exit(1 if problems else 0)
