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


@pytest.mark.slow
def test_the_jobset_is_valid_by_its_own_schema() -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models", reason=INSTALL)
    kind = models.JobsetV1alpha2JobSet
    jobset = load(FOLDER / "train-jobset.yaml")
    # The classes made from the schema drop what it does not know.
    assert kind.from_dict(jobset).to_dict() == jobset
    unknown = {**jobset, "spec": {**jobset["spec"], "a field of nobody": 1}}
    assert kind.from_dict(unknown).to_dict() == jobset
    wrong = {**jobset, "spec": {**jobset["spec"], "network": {"enableDNSHostnames": "yes"}}}
    with pytest.raises(ValueError, match="enableDNSHostnames"):
        kind.from_dict(wrong)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_everything_is_found_by_the_label_that_the_page_names(path: Path) -> None:
    manifest = load(path)
    assert manifest["metadata"]["name"]
    (label,) = manifest["metadata"]["labels"].items()
    assert "=".join(label) in (ROOT / "docs" / "cluster.md").read_text()
    for _, resource in jobs_and_claims():
        if "template" in resource["spec"]:
            assert resource["spec"]["template"]["metadata"]["labels"] == dict([label])


def test_the_volume_has_a_size_and_is_for_all_nodes() -> None:
    spec = load(FOLDER / "volume.yaml")["spec"]
    assert spec["accessModes"] == ["ReadWriteMany"]
    assert spec["resources"]["requests"]["storage"]


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
