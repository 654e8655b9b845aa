"""What hangs on the board: the break beam, the pusher, the camera.

gpiozero chooses how pins are reached; GPIOZERO_PIN_FACTORY=mock needs no board.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sextant.inspection.edge.settings import Belt
    from sextant.inspection.edge.settings import Camera as CameraSettings

_PROGRAM_S = 10.0
_CALLED_WITHIN_S = 2.0


class CameraError(RuntimeError):
    """There is no photograph; the message tells why."""


class BoardError(RuntimeError):
    """The board's pins cannot be used; the message tells why."""


class Camera(Protocol):
    """Takes a photograph, JPEG or PNG."""

    def __call__(self) -> bytes: ...


class Pusher(Protocol):
    """Puts an item off the belt while it is out."""

    def on(self) -> None: ...

    def off(self) -> None: ...


class Debounce:
    """Tells items from chatter: an item begins where the beam breaks after it was whole for `quiet_s`.

    Times are those of `time.monotonic`.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._whole_since = -quiet_s
        self.broken_since: float | None = None

    def broken(self, at: float) -> bool:
        """The beam broke; returns whether a new item begins."""
        begins = self.broken_since is None and at - self._whole_since >= self._quiet_s
        if self.broken_since is None:
            self.broken_since = at
        return begins

    def whole(self, at: float) -> None:
        """The beam is whole again."""
        self.broken_since = None
        self._whole_since = at


class Beam:
    """The break beam. The sensor pulls its pin low while the beam is broken, as those with an open collector do."""

    def __init__(self, button: Any, debounce: Debounce) -> None:
        self._button, self._debounce = button, debounce

    @property
    def broken_since(self) -> float | None:
        """The `time.monotonic` since which it is broken, None while it is whole."""
        return self._debounce.broken_since

    def watch(self, seen: Callable[[float], None]) -> None:
        """Calls `seen` with the time of each item from now on."""

        def broken() -> None:
            at = _happened(self._button.active_time)
            if self._debounce.broken(at):
                seen(at)

        def whole() -> None:
            self._debounce.whole(_happened(self._button.inactive_time))

        self._button.when_pressed, self._button.when_released = broken, whole
        if self._button.is_pressed and self.broken_since is None:  # it was before anybody watched
            broken()


def _happened(ago: float | None) -> float:
    """When an edge was: the kernel stamps it, and a busy machine calls later. Stamps of another clock are useless."""
    now = time.monotonic()
    return now - ago if ago is not None and 0 <= ago <= _CALLED_WITHIN_S else now


@contextmanager
def board(belt: Belt) -> Iterator[tuple[Beam, Pusher]]:
    """The beam and the pusher. At the end its pin is released: what pulls the wire decides where it rests then.

    Raises:
        BoardError: there are no pins.
    """
    import gpiozero  # noqa: PLC0415  asks for a board

    try:
        button = gpiozero.Button(belt.beam_pin, pull_up=True)
        pusher = gpiozero.DigitalOutputDevice(belt.pusher_pin, active_high=belt.pusher_active_high)
    except (gpiozero.exc.GPIOZeroError, OSError) as error:
        raise BoardError(
            f"the pins {belt.beam_pin} and {belt.pusher_pin} cannot be used ({error}): the user must be in the group "
            "gpio, and no other program may have them. `simulate` needs no board"
        ) from error
    try:
        yield Beam(button, Debounce(belt.debounce_s)), pusher
    finally:
        button.close()
        pusher.close()


@contextmanager
def camera(settings: CameraSettings) -> Iterator[Camera]:
    """The camera, ready to take photographs.

    Raises:
        CameraError: there is none.
    """
    if settings.kind == "command":
        yield lambda: _by_program(settings.command)
        return
    try:
        from picamera2 import Picamera2  # noqa: PLC0415  Raspberry Pi OS has it: apt install python3-picamera2
    except ImportError as error:
        raise CameraError(
            f'picamera2 is missing ({error}): apt install python3-picamera2, or take kind = "command"'
        ) from error
    import io  # noqa: PLC0415

    device: Any = Picamera2()
    try:
        device.configure(device.create_still_configuration(main={"size": settings.size}))
        device.start()

        def take() -> bytes:
            stream = io.BytesIO()
            device.capture_file(stream, format="jpeg")
            return stream.getvalue()

        yield take
    finally:
        device.close()


def _by_program(command: tuple[str, ...]) -> bytes:
    try:
        ended = subprocess.run(command, capture_output=True, timeout=_PROGRAM_S, check=False)  # noqa: S603  configured
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CameraError(f"{command[0]}: {error}") from error
    if ended.returncode or not ended.stdout:
        said = ended.stderr.decode("utf-8", "replace").strip()[-200:]
        raise CameraError(f"{command[0]} ended with {ended.returncode}: {said or 'it wrote no photograph'}")
    return ended.stdout
