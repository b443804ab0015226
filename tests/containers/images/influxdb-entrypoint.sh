#!/bin/sh
# What the image of InfluxDB 2 does with DOCKER_INFLUXDB_INIT_* at its first start. InfluxDB 1, where
# there is no other, needs none of it.
set -eu
if [ "$(id -u)" = 0 ]; then
    chown -R 1000:1000 /var/lib/influxdb2 /etc/influxdb2
    exec setpriv --reuid 1000 --regid 1000 --clear-groups "$0" "$@"
fi
if [ ! -x /usr/local/bin/influxd ]; then
    INFLUXDB_DATA_DIR=/var/lib/influxdb2/data INFLUXDB_DATA_WAL_DIR=/var/lib/influxdb2/wal \
        INFLUXDB_META_DIR=/var/lib/influxdb2/meta INFLUXDB_REPORTING_DISABLED=true \
        exec /usr/bin/influxd -config /dev/null
fi
export INFLUXD_BOLT_PATH=/var/lib/influxdb2/influxd.bolt
export INFLUXD_ENGINE_PATH=/var/lib/influxdb2/engine
if [ ! -f "$INFLUXD_BOLT_PATH" ]; then
    influxd --http-bind-address 127.0.0.1:9999 &
    server=$!
    until curl --silent --fail --output /dev/null http://127.0.0.1:9999/health; do sleep 0.2; done
    curl --silent --fail --output /dev/null http://127.0.0.1:9999/api/v2/setup --data @- <<JSON
{"username": "$DOCKER_INFLUXDB_INIT_USERNAME", "password": "$DOCKER_INFLUXDB_INIT_PASSWORD",
 "token": "$DOCKER_INFLUXDB_INIT_ADMIN_TOKEN", "org": "$DOCKER_INFLUXDB_INIT_ORG",
 "bucket": "$DOCKER_INFLUXDB_INIT_BUCKET", "retentionPeriodSeconds": 7776000}
JSON
    kill "$server"
    wait "$server" || true
fi
exec influxd
