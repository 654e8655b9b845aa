"""Who may import whom, and that every folder of kinds has the same systems."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = {"labeling", "slides", "health", "captions", "narration", "inspection"}
# What stands beside the systems in a folder of kinds.
BESIDE = {
    "stacks": {"building_blocks", "console"},
    "lambdas": {"console"},
    "glue_scripts": set(),
    "processing": set(),
    "training": set(),
    "sextant": {"console", "vision_backbone"},
    "samples": set(),
}


def python_files(folder, root=ROOT):
    return [path for path in sorted((root / folder).rglob("*.py")) if "vendor" not in path.parts]


def imports(path, root=ROOT):
    """Every module a file imports, also inside functions and type-checking blocks, as dotted absolute names."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def system_of(dotted):
    """The system a module of ours belongs to, or None."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[0] in BESIDE and parts[1] in SYSTEMS else None


def violations(root=ROOT):
    """Every import that breaks a rule, as `file: module`."""
    for kind in BESIDE:
        for path in python_files(kind, root):
            here = path.relative_to(root)
            own = system_of(".".join(here.with_suffix("").parts))
            for module in imports(path, root):
                top = module.split(".")[0]
                other = system_of(module)
                system_to_system = own is not None and other is not None and other != own
                infrastructure = kind != "stacks" and top in {"aws_cdk", "constructs", "cdk_nag", "stacks"}
                private = top == "ministack"
                home = top == "localaws"
                upward = kind == "sextant" and top in {"lambdas", "glue_scripts", "processing", "training"}
                if system_to_system or infrastructure or private or home or upward:
                    yield f"{here}: {module}"
    for path in python_files("localaws", root):
        here = path.relative_to(root).as_posix()
        for module in imports(path, root):
            top = module.split(".")[0]
            if (top == "ministack" and here != "localaws/adapter.py") or top in {"aws_cdk", "lambdas"}:
                yield f"{here}: {module}"


def test_no_import_breaks_a_rule():
    assert list(violations()) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("sextant/labeling/x.py", "import sextant.slides.y"),
        ("sextant/labeling/x.py", "from sextant.slides import y"),
        ("sextant/labeling/x.py", "from ..slides import y"),
        ("sextant/x.py", "def f():\n    import aws_cdk"),
        ("sextant/labeling/x.py", "from lambdas.labeling import dashboards"),
        ("lambdas/labeling/x.py", "from sextant.health.search import find"),
        ("lambdas/labeling/x.py", "from localaws.home import Call"),
        ("stacks/labeling/x.py", "from stacks.slides.stack import SlidesStack"),
        ("localaws/engines/x.py", "from ministack.core import router"),
        ("localaws/x.py", "import aws_cdk"),
        ("glue_scripts/labeling/x.py", "import stacks.config"),
    ],
)
def test_the_rules_can_be_broken(tmp_path, path, code):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(code)
    assert len(list(violations(tmp_path))) == 1


def foreign_names(root=ROOT):
    """Folders that are neither a system nor known to stand beside the systems."""
    for kind, beside in BESIDE.items():
        for path in sorted((root / kind).glob("*/")):
            if path.name not in SYSTEMS | beside and not path.name.startswith((".", "__")) and any(path.rglob("*.*")):
                yield path.relative_to(root).as_posix()


def test_folders_are_named_after_the_systems():
    assert list(foreign_names()) == []


def test_a_foreign_folder_is_seen(tmp_path):
    (tmp_path / "stacks" / "labelling").mkdir(parents=True)
    (tmp_path / "stacks" / "labelling" / "stack.py").write_text("")
    assert list(foreign_names(tmp_path)) == ["stacks/labelling"]


def test_a_system_that_can_be_deployed_is_whole():
    """`ls */labeling` shows a whole system: its stack, its logic and its samples."""
    from stacks import config

    assert set(config.SYSTEMS) <= SYSTEMS
    for system in config.SYSTEMS:
        for kind in ("stacks", "sextant", "samples"):
            assert (ROOT / kind / system).is_dir(), f"{kind}/{system}"


def test_files_keep_to_their_size():
    """A stack composes and a construct makes one thing: 150 and 200 lines. A handler parses, calls, returns: 60."""
    limits = {path: 150 if path.name == "stack.py" else 200 for path in python_files("stacks")}
    limits |= dict.fromkeys(python_files("lambdas"), 60)
    too_long = {
        path.relative_to(ROOT).as_posix(): count
        for path, limit in limits.items()
        if (count := len(path.read_text().splitlines())) > limit
    }
    assert too_long == {}
