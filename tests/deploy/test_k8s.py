"""Kubernetes manifests against the schemas of the API, and our own rules."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.train.process_group import TIMEOUT_VARIABLE
from tests.imports import ROOT

FOLDER = ROOT / "deploy" / "k8s"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
INSTALL = "pip install -r requirements-tests.txt"
IMAGES = {"sllama-data", "sllama-train", "sllama-eval"}

# A type, a list of one schema, or the fields of a mapping. Fields that end in ! are required.
RESOURCES = {"requests": dict, "limits!": dict}
CONTAINER = {
    "name!": str, "image!": str, "imagePullPolicy": str, "workingDir": str, "command": [str],
    "env": [{"name!": str, "value": str, "valueFrom": {"fieldRef!": {"fieldPath!": str}}}],
    "ports": [{"name": str, "containerPort!": int}],
    "resources!": RESOURCES,
    "securityContext!": {
        "allowPrivilegeEscalation!": bool, "readOnlyRootFilesystem!": bool,
        "capabilities!": {"drop!": [str]},
    },
    "volumeMounts!": [{"name!": str, "mountPath!": str}],
}  # fmt: skip
POD = {
    "metadata": {"labels": dict},
    "spec!": {
        "restartPolicy!": str, "automountServiceAccountToken!": bool,
        "terminationGracePeriodSeconds!": int,
        "securityContext!": {
            "runAsNonRoot!": bool, "runAsUser!": int, "runAsGroup!": int, "fsGroup!": int,
            "seccompProfile!": {"type!": str},
        },
        "containers!": [CONTAINER],
        "volumes!": [{
            "name!": str, "persistentVolumeClaim": {"claimName!": str},
            "emptyDir": {"medium": str, "sizeLimit": str},
        }],
    },
}  # fmt: skip
JOB_SPEC = {
    "parallelism": int, "completions": int, "completionMode": str, "backoffLimit!": int,
    "podFailurePolicy": {
        "rules!": [{"action!": str, "onPodConditions!": [{"type!": str, "status!": str}]}],
    },
    "template!": POD,
}  # fmt: skip
METADATA = {"name!": str, "labels!": dict}
SCHEMAS: dict[tuple[str, str], Any] = {
    ("v1", "PersistentVolumeClaim"): {
        "accessModes!": [str],
        "resources!": {"requests!": {"storage!": str}},
    },
    ("batch/v1", "Job"): JOB_SPEC,
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): {
        "network!": {"enableDNSHostnames!": bool},
        "failurePolicy!": {"maxRestarts!": int},
        "replicatedJobs!": [{"name!": str, "replicas!": int, "template!": {"spec!": JOB_SPEC}}],
    },
}  # fmt: skip


def faults(value: Any, schema: Any, where: str = "") -> Iterator[str]:
    """Say where a field of `value` is unknown to the schema, missing, or of another type."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            yield f"{where}: no mapping"
            return
        known = {name.rstrip("!"): part for name, part in schema.items()}
        yield from (f"{where}.{name}: unknown" for name in value.keys() - known.keys())
        required = {name[:-1] for name in schema if name.endswith("!")}
        yield from (f"{where}.{name}: missing" for name in required - value.keys())
        for name in value.keys() & known.keys():
            yield from faults(value[name], known[name], f"{where}.{name}")
    elif isinstance(schema, list):
        if not isinstance(value, list):
            yield f"{where}: no list"
            return
        for number, item in enumerate(value):
            yield from faults(item, schema[0], f"{where}[{number}]")
    elif type(value) is not schema:
        yield f"{where}: {value!r} is no {schema.__name__}"


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def pods() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in MANIFESTS:
        spec = load(path)["spec"]
        for job in [part["template"]["spec"] for part in spec.get("replicatedJobs", [])] or [spec]:
            if "template" in job:
                found.append((path.name, job["template"]["spec"]))
    return found


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_have_the_fields_of_their_kind(path: Path) -> None:
    manifest = load(path)
    spec = SCHEMAS[manifest["apiVersion"], manifest["kind"]]
    whole = {"apiVersion!": str, "kind!": str, "metadata!": METADATA, "spec!": spec}
    assert list(faults(manifest, whole)) == []


def jobs_and_claims() -> Iterator[tuple[str, dict[str, Any]]]:
    """What Kubernetes itself has a schema of: of a JobSet, which it has none of, the jobs."""
    for path in MANIFESTS:
        manifest = load(path)
        if manifest["kind"] == "JobSet":
            for job in manifest["spec"]["replicatedJobs"]:
                yield path.name, {"apiVersion": "batch/v1", "kind": "Job", **job["template"]}
        else:
            yield path.name, manifest


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.27", "1.32", "1.37"])
@pytest.mark.parametrize(("name", "resource"), jobs_and_claims())
def test_manifests_are_valid_by_the_schemas_of_kubernetes(
    name: str, resource: dict[str, Any], version: str
) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason=INSTALL)
    kubernetes_validate.validate(resource, version, strict=True)
    broken = {**resource, "spec": {**resource["spec"], "a field of nobody": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


def test_the_schema_finds_faults() -> None:
    schema = {"name!": str, "ports": [{"number!": int}]}
    assert list(faults({"name": "a", "ports": [{"number": 1}]}, schema)) == []
    assert list(faults({"name": "a", "prots": []}, schema)) == [".prots: unknown"]
    assert list(faults({"ports": []}, schema)) == [".name: missing"]
    assert list(faults({"name": "a", "ports": [{"number": "1"}]}, schema)) == [
        ".ports[0].number: '1' is no int"
    ]


def test_there_is_a_run_on_one_node_and_one_on_several() -> None:
    assert [name for name, _ in pods()] == ["train-job.yaml", "train-jobset.yaml"]


@pytest.mark.parametrize(("name", "pod"), pods())
def test_pods_have_no_more_rights_than_they_need(name: str, pod: dict[str, Any]) -> None:
    context = pod["securityContext"]
    assert context["runAsNonRoot"]
    assert context["runAsUser"] > 0
    assert context["seccompProfile"]["type"] == "RuntimeDefault"
    assert not pod["automountServiceAccountToken"]
    for container in pod["containers"]:
        inside = container["securityContext"]
        assert not inside["allowPrivilegeEscalation"]
        assert inside["readOnlyRootFilesystem"]
        assert inside["capabilities"]["drop"] == ["ALL"]


@pytest.mark.parametrize(("name", "pod"), pods())
def test_pods_have_image_gpu_volume_and_time_to_save(name: str, pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert container["image"].split(":")[0] in IMAGES
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["resources"]["limits"]["memory"]
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert list(claims.values()) == [load(FOLDER / "volume.yaml")["metadata"]["name"]]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    assert container["workingDir"] == mounted[next(iter(claims))]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert variables["SLLAMA_CHECKPOINTS"].startswith(container["workingDir"])
    assert pod["terminationGracePeriodSeconds"] > int(variables.get("PET_SHUTDOWN_TIMEOUT", 30))
    assert TIMEOUT_VARIABLE not in variables


@pytest.mark.parametrize(("name", "pod"), pods())
def test_pods_run_a_stage_that_exists(name: str, pod: dict[str, Any]) -> None:
    command = pod["containers"][0]["command"]
    assert command[:2] == ["tini", "--"]  # a command takes the place of the image's entrypoint
    module = command[command.index("-m") + 1]
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_nodes_of_a_jobset_find_each_other() -> None:
    jobset = load(FOLDER / "train-jobset.yaml")
    (job,) = jobset["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    options = dict(word[2:].split("=") for word in container["command"] if "=" in word)
    name = jobset["metadata"]["name"]
    assert spec["completionMode"] == "Indexed"
    assert int(options["nnodes"]) == spec["parallelism"] == spec["completions"]
    assert options["master-addr"] == f"{name}-{job['name']}-0-0.{name}"
    assert int(options["master-port"]) == container["ports"][0]["containerPort"]
    assert options["node-rank"] == "$(NODE_RANK)"
    assert "NODE_RANK" in {entry["name"] for entry in container["env"]}
    # One lost pod ends its job, so that all of them start again from one checkpoint.
    assert spec["backoffLimit"] == 0
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] > 0
