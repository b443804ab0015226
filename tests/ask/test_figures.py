"""Figures that can be asked about: every cause that a loss can have has its words."""

from __future__ import annotations

from exporter.ask.figures import PV_CAUSES, REVENUE_CAUSES
from scoring.money.losses import LossCause
from scoring.pv_losses import Cause as PvCause


def test_every_cause_of_a_loss_has_words() -> None:
    assert list(PV_CAUSES) == [cause.value for cause in PvCause]
    assert set(REVENUE_CAUSES) == {cause.value for cause in LossCause}
