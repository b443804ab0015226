"""Detectors against labelled time: what they found, how late, and whom they accused wrongly.

Snapshots of a simulated or recorded past go through the fleet state and the assessment as they do
in the running service, and the metrics of each assessment through the alert rules in Prometheus'
own engine. Nothing here judges a reading by itself.
"""
