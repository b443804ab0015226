"""Countries as German, Ukrainian and adjectives call them, under their English name."""

from __future__ import annotations

PLACES: dict[str, str] = {
    "spain": "spanien|spanish|spanische|spanischen|іспані*|іспанськ*",
    "germany": "deutschland|german|deutsche|deutschen|німеччин*|німецьк*",
    "switzerland": "schweiz|swiss|schweizer|швейцарі*|швейцарськ*",
    "austria": "osterreich|austrian|австрі*|австрійськ*",
    "france": "frankreich|french|франці*|французьк*",
    "italy": "italien|italian|італі*|італійськ*",
    "portugal": "portuguese|portugals|португалі*",
    "netherlands": "niederlande|niederlanden|holland|dutch|нідерланд*",
    "belgium": "belgien|belgian|бельгі*",
    "poland": "polen|polish|польщ*|польськ*",
    "ukraine": "ukrainian|ukrainische|україн*",
    "united kingdom": "uk|britain|great britain|british|england|grossbritannien|британі*|англі*",
    "ireland": "irish|irland|ірланді*",
    "denmark": "danemark|danish|дані*",
    "sweden": "schweden|swedish|швеці*",
    "norway": "norwegen|norwegian|норвегі*",
    "finland": "finnish|finnland|фінлянді*",
    "czechia": "czech|czech republic|tschechien|чехі*",
    "greece": "greek|griechenland|греці*",
    "united states": "usa|us|america|american|сша",
    "australia": "australian|australien|австралі*",
    "kenya": "kenyan|kenia|кені*",
}
