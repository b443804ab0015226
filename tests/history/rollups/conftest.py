"""The real servers of the tests of targets serve here too."""

from tests.store.test_influx_targets import influx1, influx2, server  # noqa: F401
