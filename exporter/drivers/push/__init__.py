"""Sites that send by themselves, over HTTP or MQTT."""
