"""MQTT: one connection for all sites of a broker, bounded messages, TLS trust, reconnection.

MQTT 3.1.1 (OASIS), clean sessions, QoS 0 and 1. An implementation of our own, because the client
libraries of Python accept packets of any size and connect to addresses that no site may have.
"""
