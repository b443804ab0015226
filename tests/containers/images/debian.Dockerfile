# Debian's packages for the stand-ins of images of others, where no registry can be reached.
FROM local/debian:bookworm
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends busybox ca-certificates curl influxdb prometheus \
        prometheus-alertmanager python3 python3-pip python3-venv wget \
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED \
    && ln -s python3 /usr/bin/python \
    && ln -s busybox /usr/bin/nc
