"""What the code must not do, read from its syntax: no pickle, no eval, no shell, no blind trust."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imports import ROOT

FILES = sorted(
    path for room in ("pipeline", "stages", "docker") for path in (ROOT / room).rglob("*.py")
)
UNPICKLING_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EVALUATING = {"eval", "exec", "compile", "__import__", "execfile"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
UNSAFE_LOADERS = {"Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader"}
RUN = {"run", "Popen", "call", "check_call", "check_output"}
# Folders that the project wrote itself, or that the user named on the command line.
MAY_TRUST = {
    "pipeline/evaluate/loading.py",
    "pipeline/evaluate/encoding.py",
    "pipeline/evaluate/finetune/model.py",
    "pipeline/publish/checks.py",
}


def dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def is_true(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and node.value is False)


def is_text(node: ast.expr) -> bool:
    """Whether an expression is made as a string: written, formatted or joined."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    joined = isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in {
        "join",
        "format",
    }
    added = isinstance(node, ast.BinOp) and (is_text(node.left) or is_text(node.right))
    return isinstance(node, ast.JoinedStr) or joined or added


def complaints(tree: ast.AST) -> Iterator[str]:
    """Yield what a module does that it must not do."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    pyyaml = any(alias.name == "yaml" for node in imports for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = [alias.name for alias in node.names]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else named
            yield from (f"imports {m}" for m in modules if m.split(".")[0] in UNPICKLING_MODULES)
        if isinstance(node, ast.Attribute) and node.attr in UNSAFE_LOADERS:
            yield f"takes YAML's {node.attr}"
        if isinstance(node, ast.Call):
            yield from _complaints_of_call(node)
            options = {word.arg for word in node.keywords}
            # ruamel's load, on an object that is often called yaml, makes plain data only.
            if dotted(node.func) == "yaml.load" and "Loader" not in options and pyyaml:
                yield "loads YAML without naming a loader"


def _complaints_of_call(call: ast.Call) -> Iterator[str]:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    options = {word.arg: word.value for word in call.keywords}
    if name in EVALUATING:
        yield f"calls {name}"
    if name in SHELLS or ("shell" in options and is_true(options["shell"])):
        yield "starts a shell"
    if name.startswith("subprocess.") and last in RUN and call.args and is_text(call.args[0]):
        yield "runs a command that is one string"
    if name == "torch.load":
        yield "unpickles with torch.load"
    if name in {"np.load", "numpy.load"} and is_true(
        options.get("allow_pickle", ast.Constant(False))
    ):
        yield "unpickles with numpy"
    if last in {"read_pickle", "to_pickle"}:
        yield "pickles with pandas"
    if last in {"extractall", "unpack_archive"}:
        yield "unpacks an archive without judging its members"
    if last == "mktemp":
        yield "takes a temporary name that another may take"
    if is_false(options.get("verify")):
        yield "does not check a certificate"


def is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_does_nothing_forbidden(path: Path) -> None:
    assert list(complaints(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "exec(text)",
        "os.system('ls ' + name)",
        "subprocess.run(f'ls {name}')",
        "subprocess.run(' '.join(words))",
        "subprocess.Popen('ls ' + name)",
        "subprocess.run(['ls'], shell=True)",
        "subprocess.run(words, shell=flag)",
        "torch.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "import yaml; yaml.load(text)",
        "yaml.load(text, Loader=yaml.FullLoader)",
        "archive.extractall(folder)",
        "shutil.unpack_archive(path)",
        "tempfile.mktemp()",
        "requests.get(url, verify=False)",
    ],
)
def test_the_check_finds_what_it_is_for(code: str) -> None:
    assert list(complaints(ast.parse(code)))


def test_remote_code_is_trusted_in_named_places_only() -> None:
    trusting = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                trusting.add(str(path.relative_to(ROOT)))
    assert trusting == MAY_TRUST


def test_what_is_trusted_is_never_fetched() -> None:
    """Beside `trust_remote_code` stands `local_files_only`, or a folder that was looked at."""
    for name in sorted(MAY_TRUST):
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            options = {word.arg: word.value for word in node.keywords}
            if "trust_remote_code" not in options:
                continue
            local = options.get("local_files_only")
            from_a_folder = node.args and ast.unparse(node.args[0]) in {"folder", "str(folder)"}
            assert (local is not None and is_true(local)) or from_a_folder, f"{name}:{node.lineno}"
