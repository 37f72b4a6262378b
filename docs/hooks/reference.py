"""Reference pages made when the site is built: what params.yaml may hold, what dvc.yaml runs.

Nothing of them is written by hand, so that they cannot differ from the code.
"""

import ast
import inspect
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import pipeline.config  # noqa: E402

_TYPES = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text"}
_BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "maximum": "<=", "exclusiveMaximum": "<"}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site (called by MkDocs)."""
    from mkdocs.structure.files import File

    made = {
        "reference/params.md": parameters_page(pipeline.config.Params.model_json_schema()),
        "reference/stages.md": stages_page(_read(ROOT / "dvc.yaml")),
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def parameters_page(schema: dict[str, Any]) -> str:
    """Return the page on params.yaml for the JSON schema of its model."""
    shipped = _read(ROOT / "params.yaml")
    single = {name: one for name, one in schema["properties"].items() if "$ref" not in one}
    sections = {
        name: schema["$defs"][one["$ref"].rpartition("/")[2]]
        for name, one in schema["properties"].items()
        if "$ref" in one
    }
    parts = [
        "# params.yaml",
        "This page is made from `pipeline/config.py` when the site is built. There are no hidden "
        "defaults: *shipped* is what the committed `params.yaml` says. An unknown key, a missing "
        "one (but for those that may be left out) or a value of another type is refused before any "
        "work starts.",
        _table(single, shipped, required=schema["required"]),
    ]
    for name, section in sections.items():
        parts += [
            f"## {name}",
            section["description"],
            _table(section["properties"], shipped[name], required=section.get("required", [])),
        ]
    parts += ["## Rules across keys", "Each is checked when the recipe is read:", _rules()]
    return "\n\n".join(parts) + "\n"


def without_description(schema: dict[str, Any]) -> list[str]:
    """Return the keys, as section.key, that the schema says nothing about."""
    keys = {name: one for name, one in schema["properties"].items() if "$ref" not in one}
    for name, one in schema["properties"].items():
        if "$ref" in one:
            section = schema["$defs"][one["$ref"].rpartition("/")[2]]
            keys |= {f"{name}.{key}": value for key, value in section["properties"].items()}
    return [name for name, one in keys.items() if not one.get("description")]


def stages_page(dvc: dict[str, Any]) -> str:
    """Return the page on the stages of dvc.yaml."""
    parts = [
        "# Stages",
        "This page is made from `dvc.yaml` when the site is built. `dvc repro` runs a stage when "
        "something named here has changed: a key, an input, its code. "
        "`python -m stages.<name> --help` lists a stage's options.",
    ]
    for name, stage in dvc["stages"].items():
        inputs = [
            _filled(dep) for dep in stage["deps"] if not dep.startswith(("pipeline", "stages"))
        ]
        code = [dep for dep in stage["deps"] if dep.startswith(("pipeline", "stages"))]
        outputs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
        command = stage["cmd"].removeprefix("exec ").replace("pipeline.exec ", "stages.")
        parts += [f"## {name}", f"{stage['desc']}."]
        if "matrix" in stage:
            each = ", ".join(f"`{key}` of `{_key(over)}`" for key, over in stage["matrix"].items())
            parts.append(
                f"Once for each {each}: `dvc repro {name}@<{next(iter(stage['matrix']))}>`."
            )
        parts += [
            f"```bash\n{command.replace('${item.', '<').replace('}', '>')}\n```",
            "| | |\n| --- | --- |\n"
            f"| inputs | {_codes(inputs) or 'none'} |\n"
            f"| outputs | {_codes(outputs)} |\n"
            f"| keys of params.yaml | {_codes(stage['params'])} |\n"
            f"| code | {_codes(code)} |",
        ]
    return "\n\n".join(parts) + "\n"


def _table(keys: dict[str, Any], shipped: dict[str, Any], required: list[str]) -> str:
    rows = ["| key | type | allowed | shipped | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, key in keys.items():
        value = f"`{_yaml(shipped[name])}`" if name in shipped else "left out"
        meaning = key.get("description", "") + ("" if name in required else " (may be left out)")
        rows.append(f"| `{name}` | {_type(key)} | {_allowed(key)} | {value} | {meaning} |")
    return "\n".join(rows)


def _type(key: dict[str, Any]) -> str:
    if "anyOf" in key:
        kinds = [_type(one) for one in key["anyOf"] if one["type"] != "null"]
        return " or ".join([*kinds, "null"])
    if key["type"] == "array":
        return "list of " + _type(key["items"])
    return _TYPES[key["type"]]


def _allowed(key: dict[str, Any]) -> str:
    if "anyOf" in key:
        return ", ".join(filter(None, (_allowed(one) for one in key["anyOf"])))
    if key.get("type") == "array":
        fewest = f"at least {key['minItems']}" if "minItems" in key else ""
        return "; ".join(filter(None, (_allowed(key["items"]), fewest)))
    if "enum" in key:
        return ", ".join(f"`{value}`" for value in key["enum"])
    return ", ".join(f"{sign} {key[bound]:.9g}" for bound, sign in _BOUNDS.items() if bound in key)


def _rules() -> str:
    """Return the messages of the checks in pipeline/config.py that span keys, as a list."""
    source = inspect.getsource(pipeline.config)
    return "\n".join(f"- {text}" for text in _messages(source))


def _messages(source: str) -> list[str]:
    raised = [
        node.exc.args[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func) == "ValueError"
    ]
    return [_literal(message) for message in raised]


def _literal(message: Any) -> str:
    if isinstance(message, ast.Constant):
        return str(message.value)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "..." for part in message.values
    )


def _yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).split("\n")[0]


def _codes(names: list[str]) -> str:
    return ", ".join(f"`{_filled(name)}`" for name in names)


def _filled(name: str) -> str:
    """Return a name with DVC's ${key} as <key>."""
    return name.replace("${item.", "<").replace("${", "<").replace("}", ">")


def _key(reference: str) -> str:
    return reference.removeprefix("${").removesuffix("}")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
