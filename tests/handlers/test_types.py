"""The API's one OpenAPI document, the types made from it, and the modules that are checked by them."""

import json
import re
import shutil
from pathlib import Path

import pytest

from web import openapi, typecheck
from web.vendor import WEB

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", [openapi.DOCUMENT, openapi.TYPES], ids=lambda path: path.name)
def test_the_committed_files_are_fresh(path):
    assert path.read_text() == openapi.texts()[path], "write them anew: python -m web.openapi"


def test_every_route_has_one_function_and_tells_its_faults():
    document = json.loads(openapi.DOCUMENT.read_text())
    operations = [told for methods in document["paths"].values() for told in methods.values()]
    assert {tag for told in operations for tag in told["tags"]} == set(openapi.FUNCTIONS)
    for told in operations:
        assert set(told["responses"]) == {"200", "default"}
        reference = told["responses"]["default"]["content"]["application/json"]["schema"]["$ref"]
        assert reference == "#/components/schemas/Fault"


def test_every_reference_leads_to_a_component():
    text = openapi.DOCUMENT.read_text()
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named == set(json.loads(text)["components"]["schemas"]), "and every component is used"


def test_two_components_of_one_name_stay_apart():
    document = {"paths": {}, "components": {"schemas": {"Row": {"type": "string"}}}}
    reference = {"$ref": "#/components/schemas/Row"}
    answer = {"responses": {"200": {"content": {"application/json": {"schema": reference}}}}}
    other = {"paths": {"/x": {"get": answer}}, "components": {"schemas": {"Row": {"type": "integer"}}}}
    openapi._join(document, other, "Other")
    assert document["components"]["schemas"] == {"Row": {"type": "string"}, "OtherRow": {"type": "integer"}}
    assert "OtherRow" in json.dumps(document["paths"])
    with pytest.raises(ValueError, match="/x: two functions answer GET"):
        openapi._join(document, other, "Third")


def test_an_unknown_form_of_schema_stops_the_making():
    with pytest.raises(ValueError, match="knows no TypeScript"):
        openapi._type({"type": "object", "if": {}, "not": {}} | {"type": "frob"})


@pytest.fixture
def checked(tmp_path):
    """Runs tsc over a copy of the modules; gives what it says."""
    if not (typecheck.FOLDER / typecheck.LOCK.name).exists():
        pytest.skip("TypeScript is not fetched: make types")
    shutil.copytree(WEB / "app", tmp_path / "app")
    shutil.copytree(WEB / "types", tmp_path / "types")
    return lambda: typecheck.check(tmp_path)


MISTAKES = {
    "run.js": ("run.started_at", "run.begun_at"),
    "home.js": ("answer.systems", "answer.system"),
    "quarantine.js": ("answer.allowed.includes", "answer.may.includes"),
    "settings.js": ("answer.you.roles", "answer.user.roles"),
}


def test_members_that_the_api_does_not_have_are_found(checked, tmp_path):
    for module, (right, wrong) in MISTAKES.items():
        path = tmp_path / "app" / module
        text = path.read_text()
        assert right in text
        path.write_text(text.replace(right, wrong))
    found = checked()
    assert found.returncode != 0
    for module, (_, wrong) in MISTAKES.items():
        name = wrong.split(".")[1]
        assert re.search(rf"app/{module}\(\d+,\d+\): error TS\d+: Property '{name}' does not exist", found.stdout), (
            module
        )
