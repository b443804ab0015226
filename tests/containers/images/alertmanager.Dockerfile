FROM local/servers:bookworm
RUN install -d -o nobody -g nogroup /alertmanager
USER nobody
WORKDIR /alertmanager
VOLUME /alertmanager
ENTRYPOINT ["/usr/bin/prometheus-alertmanager"]
