"""German: what each phrase means. Umlauts are folded; ``*`` ends a stem."""

from __future__ import annotations

ENTRIES: tuple[tuple[str, str], ...] = (
    (
        "intent:attention",
        "aufmerksamkeit|problem|probleme|problemen|sorgen|storung|storungen|fehler|kaputt|defekt|"
        "handlungsbedarf|auffallig|schwierigkeiten|arger|nicht in ordnung|nicht ok|krank|"
        "kummern|vorfalle|war los|techniker|beachtung|passiert|schlecht|arbeit|nicht gut",
    ),
    (
        "intent:attention severity:critical",
        "dringend|dringende|dringendes|dringendsten|sofort|notfall|notfalle|kritische probleme|"
        "ernst|ernste|akut|akute|eilig|dringende probleme",
    ),
    (
        "intent:status",
        "uberblick|gesamtuberblick|ubersicht|zusammenfassung|lage|wie lauft es|alles in ordnung|"
        "alles gut|"
        "alles ok|wie sieht es aus|wie geht es der flotte|zustand der flotte|stand der dinge|"
        "ist alles in ordnung|zustand|wie geht es|wie steht es|stand",
    ),
    ("intent:rank", "rangliste|rangfolge|sortiere|sortiert|reihenfolge|ordne|liste aller anlagen"),
    (
        "intent:compare",
        "vergleiche|vergleich|vergleichen|im vergleich|gegenuber|unterschied|unterschiede|"
        "besser als|schlechter als|gegen|vergleichst|gegenuberstellen",
    ),
    (
        "intent:outliers",
        "ausreisser|anomalie|anomalien|ungewohnlich|ungewohnliche|abweichend|abweichung|"
        "abweichungen|seltsam|weichen ab|weicht ab|fallt aus dem rahmen|fallen aus dem rahmen",
    ),
    ("intent:count", "wie viele|wieviele|anzahl|wie viel anlagen"),
    (
        "intent:why",
        "warum|weshalb|wieso|erklare|erklar|begrunde|grund|grunde|was fehlt|was ist mit|"
        "was ist los mit|was ist los bei|ursache|wieso ist|woran liegt es|was hat",
    ),
    ("intent:since", "seit wann|wie lange|wie lange schon|ab wann"),
    (
        "intent:history",
        "verlauf|entwicklung|entwickelt|entwickelte|trend|trends|historie|geschichte|verandert|"
        "veranderung|veranderungen|kurve|entwickelt sich|zeitlicher verlauf|geandert",
    ),
    (
        "intent:history order:worst",
        "schlechter geworden|wird schlechter|werden schlechter|verschlechtert|verschlechtern|"
        "verschlechterung|schlechter|gesunken|gefallen",
    ),
    (
        "intent:history order:best",
        "besser geworden|wird besser|werden besser|verbessert|verbessern|verbesserung|erholt",
    ),
    (
        "intent:cost",
        "kosten|kostet|preis|teuer|was kostet das|was wird das kosten|was wird es kosten|"
        "wie teuer|euro|geld|was kostet es|wie viel kostet das|wie viel kostet es",
    ),
    ("intent:help", "hilfe|was kann ich fragen|was kannst du|was weisst du|beispiele"),
    ("intent:mean", "durchschnitt|durchschnittlich|mittel|mittelwert|gesamt|insgesamt|summe"),
    (
        "cond:low_soh",
        "schwache batterie*|gealterte batterie*|schlechter gesundheitszustand|"
        "alte batterie*|"
        "schwacher akku|schlechte soh|schlechter soh",
    ),
    (
        "cond:hot",
        "heiss|heisse|heissen|uberhitzt|uberhitzte|uberhitzung|zu heiss|zu warm|"
        "heisse batterie*|hitzeprobleme|temperaturprobleme|temperaturproblem*",
    ),
    (
        "cond:cell_imbalance",
        "zellungleichgewicht|ungleichgewicht|zelldrift|zellprobleme|unausgeglichen|"
        "unausgeglichene zellen|zellabweichung|zellabweichungen|unbalanciert|zellproblem*|"
        "ungleiche zellen|zellen ungleich|unsymmetrische zellen",
    ),
    (
        "cond:low_soc",
        "leer|leere|leere batterie*|fast leer|niedriger ladestand|entladen|leere akkus",
    ),
    (
        "cond:no_grid",
        "kein netz|ohne netz|netzausfall|netzausfalle|stromausfall|stromausfalle|netz weg|"
        "netz fehlt|fehlt das netz|netz ausgefallen|keinen netzanschluss|netz verloren|"
        "vom netz getrennt",
    ),
    ("cond:off_frequency", "frequenzproblem*|frequenzabweichung*|falsche frequenz"),
    ("cond:off_voltage", "spannungsproblem*|falsche spannung|uberspannung|unterspannung"),
    ("cond:grid_problem", "netzproblem|netzprobleme|probleme mit dem netz|netzstorung*"),
    (
        "cond:battery_problem",
        "batterieproblem|batterieprobleme|probleme mit der batterie|akkuproblem*|"
        "probleme mit den batterien|batteriestorung*|batteriefehler",
    ),
    (
        "cond:low_pv",
        "zu wenig solar|pv problem*|solarproblem*|solarprobleme|geringer ertrag|wenig ertrag|"
        "minderertrag|schlechter ertrag|pv minderertrag|zu wenig ertrag|zu wenig pv|pv schwach",
    ),
    ("cond:no_data", "keine daten|ohne daten|stumm|keine messwerte|ohne messwerte|keine werte"),
    (
        "cond:offline",
        "nicht erreichbar|antwortet nicht|antworten nicht|nicht verbunden|ausgefallen|"
        "keine verbindung|tot|vom netzwerk getrennt|unerreichbar|nicht online|keine antwort",
    ),
    ("cond:!offline", "erreichbar|verbunden"),
    ("cond:connection_problem", "verbindungsproblem*|netzwerkproblem*|kommunikationsproblem*"),
    ("cond:device_alarm", "alarme|alarmmeldung*|geratealarm*"),
    ("cond:missing_readings", "fehlende messwerte|unvollstandig|fehlende werte|fehlen messwerte"),
    ("cond:maintenance", "in wartung"),
    ("refuse:weather", "wetter|regen|sonnig|bewolkt"),
    ("refuse:money", "strompreis*|stromkosten|energiekosten|erlos*|verdient"),
    ("refuse:people", "kontakt|telefon*|adresse|ansprechpartner|eigentumer"),
    ("refuse:age", "alteste|altesten|wie alt|alter"),
    ("amount", "wie hoch|wie gross|wie niedrig|wie viel"),
    ("when", "wann"),
    ("by", "nach"),
    ("if", "wenn|falls"),
    ("cond:healthy", "gesund|gesunde"),
    (
        "cond:!needs_attention",
        "in ordnung|ohne probleme|keine probleme|problemlos|keine storung|ohne storung|gut",
    ),
    ("cond:critical", "kritisch|kritische|kritischen|kritischer"),
    ("cond:warning", "warnung|warnungen"),
    ("metric:score", "bewertung|punktzahl|gesundheit|gesundheitswert|punkte stand|leistung"),
    ("metric:soc", "ladezustand|ladestand|ladung|fullstand|geladen|voll|wie voll"),
    ("metric:soh", "gesundheitszustand|batteriegesundheit|batteriezustand|akkuzustand"),
    (
        "metric:temperature",
        "temperatur|temperaturen|batterietemperatur|batterietemperaturen|akkutemperatur|wie heiss|"
        "wie warm|warm",
    ),
    ("metric:cell_spread", "zellspreizung|zellspannungsdifferenz|zelldifferenz|spreizung"),
    ("metric:voltage", "batteriespannung|spannung"),
    ("metric:battery_power", "batterieleistung|ladeleistung"),
    ("metric:grid_power", "netzleistung|netzbezug"),
    ("metric:grid_frequency", "netzfrequenz|frequenz"),
    ("metric:grid_voltage", "netzspannung"),
    (
        "metric:pv_power",
        "pv leistung|solarleistung|erzeugung|solarproduktion|"
        "pv erzeugung|solarerzeugung|produktion",
    ),
    ("metric:pv_energy", "ertrag|solarertrag|pv ertrag|erzeugte energie|erzeugt|produziert"),
    ("metric:load_power", "verbrauch|die last|last von|stromverbrauch"),
    ("metric:load_energy", "verbraucht|energieverbrauch"),
    ("metric:imported_energy", "bezogen|netzbezug energie|eingekauft"),
    ("metric:exported_energy", "eingespeist|einspeisung"),
    ("metric:cycles", "zyklen|ladezyklen|vollzyklen"),
    ("metric:availability", "verfugbarkeit|erreichbarkeit"),
    ("metric:grid_score", "netzqualitat"),
    ("state:charging", "ladt|laden|ladend"),
    ("state:discharging", "entladt|entladend"),
    ("energy", "energie"),
    ("comp:battery", "batterie|batterien|akku|akkus|speicher"),
    ("comp:grid", "netz|stromnetz"),
    ("comp:solar", "solaranlage|solaranlagen|pv anlage|pv anlagen|module"),
    ("comp:connectivity", "verbindung|netzwerk"),
    ("comp:cells", "zelle|zellen"),
    (
        "order:worst",
        "schlechteste|schlechtesten|schlechtester|schwachste|schwachsten|am schlechtesten|"
        "am schwachsten|problematischsten",
    ),
    (
        "order:best",
        "beste|besten|bester|gesundeste|gesundesten|am besten|starkste|starksten|bestes",
    ),
    ("top", "ersten|erste"),
    ("order:highest", "hochste|hochsten|grosste|grossten|meisten|am hochsten|maximal|meiste"),
    ("order:lowest", "niedrigste|niedrigsten|kleinste|kleinsten|geringste|geringsten|wenigsten"),
    ("order:highest metric:temperature", "heisseste|heissesten|warmste|warmsten"),
    ("order:lowest metric:temperature", "kalteste|kaltesten"),
    ("adj:low", "niedrig|niedrige|niedriger|niedrigem|niedrigen|geringe|geringer|zu niedrig|wenig"),
    ("adj:high", "hoch|hohe|hoher|hohem|hohen|zu hoch"),
    ("op:<", "unter|unterhalb|weniger als|kleiner als|niedriger als|geringer als"),
    ("op:>", "uber|oberhalb|mehr als|grosser als|hoher als"),
    ("op:<=", "hochstens"),
    ("op:>=", "mindestens"),
    ("op:> metric:temperature", "heisser als|warmer als"),
    ("unit:%", "prozent"),
    ("unit:°C", "grad|grad celsius"),
    (
        "filt:priority=high",
        "hohe prioritat|hoher prioritat|hohen prioritat|prioritat hoch|wichtige|wichtigen",
    ),
    ("filt:priority=low", "niedrige prioritat|niedriger prioritat|unwichtige"),
    ("filt:priority=medium", "mittlere prioritat|mittlerer prioritat"),
    ("group:region", "nach region|je region|pro region|regionen"),
    ("group:location", "nach land|je land|pro land|lander"),
    ("group:vendor", "nach hersteller|je hersteller|pro hersteller|hersteller"),
    ("group:battery_type", "nach batterietyp|je batterietyp|pro batterietyp|batterietypen"),
    ("neg", "nicht|kein|keine|keinen|ohne|ausser|nie"),
    ("or", "oder"),
    ("and", "und|sowie"),
    ("only", "nur|bloss|ausschliesslich"),
    ("lead", "und was ist mit|wie ist es mit|und wie ist es mit|auch"),
    ("pron", "sie|ihnen|diese|dieser anlage|davon|dessen|deren"),
    ("pron:there", "dort|da|darunter"),
    ("pron:0", "die erste|der erste"),
    ("pron:1", "die zweite|der zweite"),
    ("past", "war|waren|hatte|hatten|gewesen"),
    ("future", "werden|wird|vorhersage|prognose|morgen|zukunft|nachste"),
    ("all", "alle|allen|aller|alles|jede|jeder|ganze|gesamte"),
    ("site", "anlage|anlagen|standort|standorte|standorten|flotte|systeme|stationen"),
    (
        "",
        "der|die|das|den|dem|des|ein|eine|einen|einem|einer|ist|sind|sein|hat|haben|habe|wir|ich|"
        "mir|uns|es|gibt|welche|welcher|welches|welchen|was|wer|wie|wo|von|vom|in|im|an|am|"
        "auf|bei|beim|mit|fur|zu|zum|zur|aus|um|bitte|zeige|zeig|nenne|nenn|gib|sag|sage|"
        "liste|auflisten|braucht|brauchen|benotigt|benotigen|gerade|jetzt|aktuell|aktuelle|"
        "aktuellen|derzeit|momentan|im moment|schon|noch|so|sich|man|denn|mal|als|dass|ob|"
        "unsere|unserer|unseren|meine|mein|steht|stehen|geht|lauft|laufen|sehe|sehen|mochte|"
        "wissen|kannst|du|konntest|irgendwelche|etwas|viel|viele|los|geworden|wurde|"
        "wurden|bitte zeige|zeig mir|werte|wert|zeigen|je|pro|da sind|gab|gab es|sehr|deine|"
        "betroffen|leiden|leidet|unter problemen|letzter zeit",
    ),
)
