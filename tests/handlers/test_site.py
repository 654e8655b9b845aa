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
        assert {"LICENSE", "LICENSE.txt"} & set(each["files"])
        assert each["licence"]


def test_modules_import_only_what_the_map_or_the_folder_has():
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', INDEX)[1])["imports"]
    for module in (ROOT / "app").glob("*.js"):
        code = re.sub(r"/\*.*?\*/", "", module.read_text(), flags=re.DOTALL)  # a comment may import a type
        for target in re.findall(r'(?:from|import) "([^"]+)"|import\("([^"]+)"\)', code):
            name = target[0] or target[1]
            assert name in imports or (module.parent / name).exists(), f"{module.name} imports {name}"


def test_no_module_writes_markup_as_text():
    for module in (ROOT / "app").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", module.read_text()
        ), module.name


def test_no_module_writes_a_style_into_markup():
    """style-src 'self' refuses style attributes; what JavaScript sets on an element's style object is allowed."""
    for module in (ROOT / "app").glob("*.js"):
        assert not re.search(r"""\sstyle=|cssText|setAttribute\(["']style|<style|\son\w+=["']""", module.read_text()), (
            module.name
        )


SHELL = (
    "about", "cohort", "deep-zoom", "files", "home", "main", "metrics", "navigation", "of-run", "parts",
    "poll", "quarantine", "route", "run", "runs", "session", "settings", "slide", "systems", "theme", "tiles",
)  # fmt: skip


def markup(code):
    """The text of every html template of a module, one inside another too, with its expressions left out."""
    found, position = [], 0
    while (start := code.find("html`", position)) >= 0:
        text, inner, position = _template(code, start + len("html`"))
        found += [text, *inner]
    return found


def _template(code, at):
    text, inner = "", []
    while code[at] != "`":
        if not code.startswith("${", at):
            text, at = text + code[at], at + 1
            continue
        depth, at = 1, at + 2
        while depth:
            if code[at] == "`":
                is_markup = code[:at].endswith("html")
                nested, deeper, at = _template(code, at + 1)
                inner += [nested, *deeper] if is_markup else deeper
                continue
            depth += {"{": 1, "}": -1}.get(code[at], 0)
            at += 1
        text += "\N{WHITE SQUARE}"
    return text, inner, at + 1


def test_templates_are_found_within_templates():
    code = "const a = html`<p>${b.map((c) => html`<i>x ${`y${c}`} z</i>`)} end</p>`; const d = html`<b />`;"
    gap = "\N{WHITE SQUARE}"
    assert markup(code) == [f"<p>{gap} end</p>", f"<i>x {gap} z</i>", "<b />"]


@pytest.mark.parametrize("name", SHELL)
def test_the_shells_sentences_are_in_one_place(name):
    """Words between tags, or in an attribute that is read aloud, come from strings.js."""
    for text in markup((ROOT / "app" / f"{name}.js").read_text()):
        between = re.sub(r"<[^<>]*>", "\n", text)
        assert not re.search(r"[A-Za-z]{2}", between), text
        assert not re.search(r"""(?:aria-label|placeholder|alt|title)="[^"]*[A-Za-z]""", text), text


def test_every_sentence_is_said():
    """A string that no module uses is one that nobody keeps true. A module's `said` is one section of the strings."""
    codes = [path.read_text() for path in (ROOT / "app").glob("*.js") if path.name != "strings.js"]
    for code in codes:
        if section := re.search(r"const said = text\.(\w+);", code):
            codes[codes.index(code)] = code.replace("said.", f"text.{section[1]}.")
    everything = "\n".join(codes)
    sections = re.findall(
        r"^  (\w+): \{$(.*?)^  \},$", (ROOT / "app" / "strings.js").read_text(), re.MULTILINE | re.DOTALL
    )
    unsaid = [
        f"{section}.{key}"
        for section, body in sections
        if section != "systems"  # by id
        for key in re.findall(r"^    (\w+):", body, re.MULTILINE)
        if f"text.{section}.{key}" not in everything
    ]
    assert unsaid == []


@pytest.mark.skipif(not (ROOT / "vendor").exists(), reason="web/vendor is not there: python web/vendor.py")
def test_only_the_site_is_published():
    published = files()
    assert {"index.html", "style.css", "app/main.js", "vendor/vega/LICENSE"} <= set(published)
    assert not [name for name in published if name.endswith((".py", ".json", ".pyc"))]
    assert published["app/main.js"][1].startswith("text/javascript")
