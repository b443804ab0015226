FROM local/servers:bookworm
RUN groupadd --gid 1000 influx2 \
    && useradd --uid 1000 --gid 1000 influx2 \
    && install -d -o 1000 -g 1000 /var/lib/influxdb2 /etc/influxdb2
COPY influx influxdb-entrypoint.sh /usr/local/bin/
COPY servers/ /usr/local/bin/
VOLUME /var/lib/influxdb2 /etc/influxdb2
ENTRYPOINT ["influxdb-entrypoint.sh"]
