"""Alerts on many sites at once."""

from __future__ import annotations

from provisioning.prometheus.alert import Alert

_SITES_OF_REGION = (
    '{{ $value }}{{- with printf "region:sites_watched:count{region=%q}" $labels.region | query }}'
    " of {{ . | first | value }}{{ end }} sites in {{ $labels.region }}"
)

REMARK = """\
Alerts on many sites at once: one message in place of many (the inhibit rules are in
provisioning/alertmanager/alertmanager.yml). Exporters that share a fleet out add up."""

ALERTS = (
    Alert(
        name="FleetscopeManySitesOffline",
        expr="sum(region:sites_offline:count) >= 5\n"
        "  and sum(region:sites_offline:count) / sum(region:sites_watched:count) >= 0.2",
        wait="30s",
        keep="20m",
        severity="page",
        scope="fleet",
        level="critical",
        cause="offline",
        labels={"priority": "high"},
        summary='{{ $value }}{{- with query "sum(region:sites_watched:count)" }} of {{ . | '
        "first | value }}{{ end }} sites are offline at once",
        description='{{ $value }}{{- with query "sum(region:sites_watched:count)" }} of {{ . | '
        "first | value }}{{ end }} sites do not answer. By region:{{ range $i, $r := query "
        '"region:sites_offline:count" | sortByLabel "region" }}{{ if lt $i 10 }}{{ if $i '
        '}},{{ end }} {{ or $r.Labels.region "no region" }} {{ $r.Value }}{{ end }}{{ end '
        "}}. So many at once share a cause: the exporter's own network, a provider, a VPN or "
        "a name server. Messages on single sites are held back while this lasts.",
        action="Check from the exporter's machine whether any site can be reached, then call "
        "the provider that the sites share.",
        dashboard="overview",
    ),
    Alert(
        name="FleetscopeRegionOffline",
        why="Below `for:` of a single site by half a minute, so that this one comes first and "
        "hides them. It stays for longer than the alerts on regions, and those for longer "
        "than the ones on sites, so that no message on them goes out when all is over.",
        expr='region:sites_offline:count{region!=""} >= 3\n'
        "  and region:sites_offline:count / region:sites_watched:count >= 0.5",
        wait="30s",
        keep="15m",
        severity="page",
        scope="region",
        level="critical",
        cause="offline",
        labels={"priority": "high"},
        summary=_SITES_OF_REGION + " are offline",
        description=_SITES_OF_REGION
        + " do not answer. Together they point to a provider, a VPN or a power cut in the "
        "region, not to the sites. Messages on single sites of the region being offline are "
        "held back while this lasts.",
        action="Ask the provider and the utility of the region whether they have an outage.",
        dashboard="overview?var-region={{ $labels.region | urlquery }}",
    ),
    Alert(
        name="FleetscopeRegionGridLost",
        expr='region:sites_grid_issue:count{code="grid_lost"} >= 3\n'
        "  and on (region, code)\n"
        "    region:sites_grid_issue:count\n"
        "      / on (region) group_left () region:sites_watched:count >= 0.25",
        wait="30s",
        keep="15m",
        severity="page",
        scope="region",
        level="critical",
        cause="grid_lost",
        labels={"priority": "high"},
        summary=_SITES_OF_REGION + " have lost the grid",
        description=_SITES_OF_REGION
        + " have no grid at their AC input. So many at once mean an outage of the utility. "
        "They live on their batteries; messages on the grid of single sites are held back "
        "while this lasts.",
        action="Ask the utility how long the outage will last, and watch the sites with the "
        "lowest charge.",
        dashboard="overview?var-region={{ $labels.region | urlquery }}",
    ),
    Alert(
        name="FleetscopeRegionGridQuality",
        expr='region:sites_grid_issue:count{code=~"grid_frequency|grid_voltage"} >= 3\n'
        "  and on (region, code)\n"
        "    region:sites_grid_issue:count\n"
        "      / on (region) group_left () region:sites_watched:count >= 0.25",
        wait="2m",
        keep="20m",
        severity="ticket",
        scope="region",
        level="critical",
        cause="{{ $labels.code }}",
        labels={"priority": "high"},
        summary='Grid {{ if eq $labels.code "grid_voltage" }}voltage{{ else }}frequency{{ end '
        "}} is out of band at " + _SITES_OF_REGION,
        description=_SITES_OF_REGION
        + ' measure a grid {{ if eq $labels.code "grid_voltage" }}voltage{{ else '
        "}}frequency{{ end }} that left its band and has not come back to stay. It is the "
        "utility's, not the sites'; messages on single sites are held back while this lasts.",
        action="Report it to the utility with times and values from the site dashboards.",
        dashboard="overview?var-region={{ $labels.region | urlquery }}",
    ),
)
