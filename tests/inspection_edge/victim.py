"""A sorter that comes to one state of an item and stays there, to be killed: `victim.py FOLDER STATE`."""

import os
import sys
import time
from pathlib import Path

os.environ["GPIOZERO_PIN_FACTORY"] = "mock"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sextant.inspection.edge import judging
from sextant.inspection.edge.running import running
from tests.inspection_edge.stand import BEAM, judge, settings

FOREVER = 600


def main(folder, state):
    import gpiozero

    def camera():
        if state == "seen":
            time.sleep(FOREVER)
        return b"accept 1"

    def model(body):
        if state == "photographed":
            time.sleep(FOREVER)
        return judge(body)

    judging.local = lambda _path: model
    # Who is accepted passes only where that is on the disk in time, whatever else the machine does.
    travel = 10.0 if state == "passed" else FOREVER
    asked = settings(folder, belt={"travel_s": travel}, camera={"within_s": 60}, cloud={"bucket": "lines"})
    with running(asked, camera=camera):
        gpiozero.Device.pin_factory.pin(BEAM).drive_low()
        time.sleep(FOREVER)


main(Path(sys.argv[1]), sys.argv[2])
