FROM local/servers:bookworm
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends mosquitto mosquitto-clients \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1883 mqtt && useradd --uid 1883 --gid 1883 mqtt
