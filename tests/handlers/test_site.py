"""The published files, their policy, and the lock of the vendored libraries."""

import json
import re

import pytest

from web.site import ROOT, content_security_policy, files, import_map_hash, security_headers

INDEX = (ROOT / "index.html").read_text()


def test_the_page_allows_exactly_its_own_import_map():
    digest = import_map_hash(INDEX)
    assert digest in content_security_policy()
    assert digest in re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', INDEX)[1]
    changed = INDEX.replace('"imports"', '"imports" ')
    assert import_map_hash(changed) != digest


def test_the_policy_forbids_eval_and_inline_code():
    policy = content_security_policy(["https://api.example.com", "https://signin.example.com"])
    assert "unsafe" not in policy
    assert "connect-src 'self' https://api.example.com https://signin.example.com;" in policy
    assert re.findall(r"<script(?![^>]*(src=|importmap))", INDEX) == []
    assert "style=" not in INDEX
    assert security_headers()["X-Content-Type-Options"] == "nosniff"


def test_every_import_of_the_map_is_a_pinned_file():
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', INDEX)[1])["imports"]
    packages = json.loads((ROOT / "vendor.lock.json").read_text())["packages"]
    pinned = {f"./vendor/{each['name']}/{name}" for each in packages for name in each["files"]}
    assert {target for target in imports.values() if "/vendor/" in target} <= pinned
    for each in packages:
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", each["sha512"])
        assert "LICENSE" in each["files"]
        assert each["licence"]


def test_modules_import_only_what_the_map_or_the_folder_has():
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', INDEX)[1])["imports"]
    for module in (ROOT / "app").glob("*.js"):
        for target in re.findall(r'(?:from|import) "([^"]+)"|import\("([^"]+)"\)', module.read_text()):
            name = target[0] or target[1]
            assert name in imports or (module.parent / name).exists(), f"{module.name} imports {name}"


def test_no_module_writes_markup_as_text():
    for module in (ROOT / "app").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", module.read_text()
        ), module.name


@pytest.mark.skipif(not (ROOT / "vendor").exists(), reason="web/vendor is not there: python web/vendor.py")
def test_only_the_site_is_published():
    published = files()
    assert {"index.html", "style.css", "app/main.js", "vendor/vega/LICENSE"} <= set(published)
    assert not [name for name in published if name.endswith((".py", ".json", ".pyc"))]
    assert published["app/main.js"][1].startswith("text/javascript")
