"""Synthesis needs nothing but the repository, and the same sources give the same templates."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_app_synthesizes_local_and_dev_in_an_empty_environment(tmp_path):
    """No AWS credentials, no git and no Node on the path, no JSII_NODE, another working folder."""
    bare = {"HOME": os.environ["HOME"], "CDK_OUTDIR": str(tmp_path / "out"), "CDK_VALIDATION": "false"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "app.py")], cwd=tmp_path, env=bare, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())["artifacts"]
    stages = {name for name, each in manifest.items() if each["type"] == "cdk:cloud-assembly"}
    assert stages == {"assembly-local", "assembly-dev"}


def test_a_bad_environment_name_is_told_plainly(tmp_path):
    environment = os.environ | {"CDK_OUTDIR": str(tmp_path), "CDK_CONTEXT_JSON": '{"environments": "nowhere"}'}
    result = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("There is no environment 'nowhere' in environments/: it has dev, local.")


def test_same_sources_same_templates_whatever_lies_beside_them(synthesize, environments, monkeypatch, tmp_path):
    from stacks.building_blocks import python_code

    before = synthesize(environments["local"])
    junk = []
    try:
        for folder in ("sextant", "lambdas/labeling"):
            for name in ("__pycache__/x.pyc", ".mypy_cache/.gitignore", ".DS_Store"):
                path = ROOT / folder / name
                if not path.exists():
                    path.parent.mkdir(exist_ok=True)
                    path.write_text("junk")
                    junk.append(path)
        assert synthesize(environments["local"]) == before
    finally:
        for path in junk:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()

    # The converse: what does enter changes the template.
    (tmp_path / "sextant").mkdir()
    (tmp_path / "sextant" / "__init__.py").write_text("changed = True\n")
    archive = python_code.archive("sextant")
    monkeypatch.setattr(python_code, "ROOT", tmp_path)
    assert python_code.archive("sextant").name != archive.name


@pytest.mark.parametrize(
    ("folders", "under", "program"),
    [
        (
            ("sextant", "glue_scripts/labeling"),
            "",
            """
import sextant.labeling.views
from importlib.resources import files
assert "SELECT" in files("glue_scripts.labeling").joinpath("answer.sql").read_text().upper()
""",
        ),
        (("sextant",), "python", "import sys; sys.path[0] += '/python'; import sextant.labeling.tables"),
    ],
)
def test_archives_are_importable_as_zip_files(tmp_path, folders, under, program):
    """As Spark puts --extra-py-files on the path, and Lambda a layer."""
    from stacks.building_blocks.python_code import archive

    package = archive(*folders, under=under)
    program = f"import sys; sys.path.insert(0, {str(package)!r})\n{program}"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_handlers_lie_where_their_handler_strings_say(local):
    from stacks.building_blocks.python_code import handlers_archive

    functions = [
        resource["Properties"]
        for template in local.values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    assert len(functions) == 2 + 3 + 5 + 15
    from_image = [each["ImageConfig"]["Command"] for each in functions if each.get("PackageType") == "Image"]
    assert len(from_image) == 5
    handlers = [each["Handler"] for each in functions if "Handler" in each]
    for handler in (*handlers, *(command for (command,) in from_image)):
        module, name = handler.rsplit(".", 1)
        path = f"{module.replace('.', '/')}.py"
        with zipfile.ZipFile(handlers_archive(module.split(".")[1])) as archive:
            assert f"def {name}(" in archive.read(path).decode()


def test_site_holds_the_page_and_its_libraries_but_no_sources_of_ours():
    from web import site

    names = set(site.files())
    assert {"index.html", "app/main.js"} <= names
    assert any(name.startswith("vendor/vega/") for name in names)
    assert not [name for name in names if name.endswith((".py", ".json"))]
