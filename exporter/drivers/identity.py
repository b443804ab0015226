"""Whether the device that answers is still the one that the site has."""

from __future__ import annotations

from exporter.model.snapshot import Outcome, ScrapeError


class Identity:
    """The serial number of a site's device.

    Addresses are given out again, cables and port forwardings are swapped: then another site's
    device answers, and its readings must not be mixed with this one's.

    Parameters
    ----------
    expected : str or None
        As the fleet file has it; None takes the first one that the device gives.
    """

    def __init__(self, expected: str | None) -> None:
        self._configured = expected is not None
        self._serial = expected

    def check(self, serial: str | None) -> None:
        """Take note of the serial number of the device that answered; None where it gave none.

        Raises
        ------
        ScrapeError
            With outcome ``malformed`` if it is another device, or, where the fleet file names one,
            if it does not say which it is.
        """
        if serial == self._serial or (serial is None and not self._configured):
            return
        if self._serial is None:
            self._serial = serial
            return
        given = f"serial number {serial}" if serial else "no serial number"
        source = "as the fleet file says" if self._configured else "as before"
        raise ScrapeError(
            Outcome.MALFORMED,
            f"another device answers: it gives {given}, not {self._serial} {source}; its readings "
            "are not taken. If the device was replaced, put its serial into the fleet file",
        )
