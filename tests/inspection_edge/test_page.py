"""The sorter's page in a real Chromium."""

import itertools
import time

import pytest

from sextant.inspection.edge.judging import Answer
from sextant.inspection.edge.running import running
from tests.inspection import made
from tests.inspection_edge.stand import BEAM, settings

CHROMIUM = "/usr/bin/chromium"
KINDS = [None, "scratch", None, None, "hole", None]
PICTURES = [made.jpeg(made.plate(70 + at, defect=kind)[0]) for at, kind in enumerate(KINDS)]


def judge(body):
    kind = KINDS[PICTURES.index(body)]
    labels = (kind,) if kind else ()
    told = {"labels": labels, "brightness": 92.0, "sharpness": 210.5, "crop_ok": True}
    return Answer("reject" if kind else "accept", "anomalous" if kind else "normal", 0.93, "3f2a90c1d77e", **told)


@pytest.mark.browser
def test_the_page_shows_the_belt_as_it_runs_and_faults_in_words(tmp_path, model):
    import gpiozero
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect, sync_playwright

    model(judge)
    take = itertools.cycle([*PICTURES]).__next__
    beam = gpiozero.Device.pin_factory.pin(BEAM)
    asked = settings(tmp_path, belt={"travel_s": 0.4, "blocked_s": 1.0})
    with running(asked, camera=take) as found, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        problems = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"http://127.0.0.1:{found.port}/")
        for _ in KINDS:
            beam.drive_low()
            time.sleep(0.05)
            beam.drive_high()
            time.sleep(0.3)
        page.locator("#latest li").nth(5).wait_for()
        expect(page.locator("#state")).to_have_text("sorting")
        expect(page.locator("#latest li", has_text=", judged")).to_have_count(0)
        words = page.locator("#latest li").all_inner_texts()
        assert [each.split("\n")[0].split()[:2] for each in words] == [
            [str(number), "reject" if kind else "accept"] for number, kind in reversed(list(enumerate(KINDS, start=1)))
        ]
        assert "(hole)" in words[1]
        assert page.locator("#latest img").evaluate_all("all => all.every(each => each.naturalWidth === 480)")
        numbers = page.locator("#numbers").inner_text().split("\n")
        told = dict(zip(numbers[::2], numbers[1::2], strict=True))
        assert (told["Items"], told["Pushed"], told["Passed"], told["Rejected"]) == ("6", "2", "4", "2")
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert problems == []
        beam.drive_low()
        page.get_by_text("The beam has been broken for").wait_for(timeout=5000)
        assert page.locator("#state").inner_text() == "fault"
        look = browser.new_page(bypass_csp=True)  # axe is a script of the test's own, which the policy forbids
        look.goto(page.url)
        look.get_by_text("The beam has been broken for").wait_for()
        assert Axe().run(look).response["violations"] == []
        look.screenshot(path=tmp_path / "fault.png", full_page=True)
        browser.close()
