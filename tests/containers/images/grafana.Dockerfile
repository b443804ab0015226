FROM local/servers:bookworm
RUN useradd --uid 472 --gid 0 grafana \
    && install -d -o 472 -g 0 /var/lib/grafana /var/lib/grafana/plugins /var/log/grafana \
        /etc/grafana /etc/grafana/provisioning
COPY . /usr/share/grafana
ENV GF_PATHS_DATA=/var/lib/grafana GF_PATHS_LOGS=/var/log/grafana \
    GF_PATHS_PLUGINS=/var/lib/grafana/plugins GF_PATHS_PROVISIONING=/etc/grafana/provisioning \
    GF_LOG_MODE=console
USER 472
VOLUME /var/lib/grafana
ENTRYPOINT ["/usr/share/grafana/bin/grafana", "server", "--homepath=/usr/share/grafana"]
