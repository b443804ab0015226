"""English metrics, orders, numbers, sites, and the words that steer a sentence."""

from __future__ import annotations

ENTRIES: tuple[tuple[str, str], ...] = (
    # Metrics.
    (
        "metric:score",
        "score|scores|scored|scoring|health score|health scores|health|overall score|"
        "overall health|rating|"
        "fleet score|fleet health|total score|condition|performance|performing|perform|performed|"
        "performs",
    ),
    ("metric:battery_score", "battery score|battery scores"),
    (
        "metric:grid_score",
        "grid score|grid scores|grid health|grid quality|quality of the grid|grid stability",
    ),
    ("metric:solar_score", "solar score|solar scores|solar health|pv score|pv health"),
    (
        "metric:connectivity_score",
        "connectivity|connectivity score|connectivity scores|connection quality|link quality|"
        "connection score",
    ),
    (
        "metric:soc",
        "soc|state of charge|states of charge|charge level|charge levels|charge state|"
        "battery level|battery levels|charging level|how full|full|socs|level of charge|"
        "battery soc|how charged|fill level",
    ),
    ("metric:soc verb:charge", "charge|battery charge"),
    (
        "metric:soh",
        "soh|state of health|percent health|states of health|battery health|sohs|battery soh|"
        "capacity left|"
        "remaining capacity|battery state of health|health of the batter*|battery condition",
    ),
    (
        "metric:temperature",
        "temperature|temperatures|temp|temps|battery temperature|battery temperatures|how hot|"
        "how warm|battery temp|heat|warm|hotter|warmer|colder|cooler|cell temperature|"
        "cell temperatures",
    ),
    (
        "metric:cell_spread",
        "cell spread|cell spreads|spread|cell voltage spread|cell voltage difference|"
        "voltage spread|cell deviation|cell voltages|spread of the cells|cell balance|balance",
    ),
    ("order:highest metric:cell_spread", "highest cell spread|largest cell spread|widest spread"),
    ("order:lowest metric:cell_spread", "lowest cell spread|smallest cell spread"),
    ("metric:cell_spread", "by cell imbalance|by imbalance|by cell difference"),
    ("metric:cell_min", "lowest cell voltage|minimum cell voltage|min cell voltage|lowest cell"),
    ("metric:cell_max", "highest cell voltage|maximum cell voltage|max cell voltage|highest cell"),
    ("metric:voltage", "battery voltage|battery voltages|voltage|voltages|pack voltage"),
    ("metric:current", "battery current|battery currents|charge current|amps|amperes"),
    (
        "metric:battery_power",
        "battery power|charging power|discharge power|charge power|discharging power",
    ),
    (
        "metric:grid_power",
        "grid power|grid import|power from the grid|grid exchange|grid consumption|"
        "power at the grid|grid draw|grid load",
    ),
    (
        "metric:grid_frequency",
        "grid frequency|frequency|frequencies|grid frequencies|mains frequency|hertz",
    ),
    ("metric:grid_voltage", "grid voltage|grid voltages|mains voltage|line voltage|ac voltage"),
    (
        "metric:pv_power",
        "pv power|solar power|pv production|solar production|solar output|pv output|"
        "solar generation|pv generation|generation|production|pv|solar|produce|produced|produces|"
        "generate|generated|generates|photovoltaic power|sun power",
    ),
    (
        "metric:pv_energy",
        "pv energy|solar energy|energy produced|energy generated|solar yield|pv yield|yield|"
        "energy production|energy yield|solar harvest",
    ),
    (
        "metric:pv_performance",
        "pv performance|performance ratio|performance ratios|pv performance ratio|"
        "solar performance|solar performance ratio|pv efficiency",
    ),
    (
        "metric:load_power",
        "load|loads|consumption|demand|power consumption|load power|consume|consumes|power use|"
        "power demand|power draw|electricity use|use|uses|using|used",
    ),
    (
        "metric:load_energy",
        "energy consumption|energy consumed|energy used|energy use|consumed|energy demand",
    ),
    ("metric:genset_power", "generator power|genset power|generator|genset|generators"),
    ("metric:cycles", "cycles|charge cycles|cycle count|cycle counts|battery cycles"),
    ("metric:charged_energy", "energy charged|charged energy|charged|charge energy"),
    ("metric:discharged_energy", "energy discharged|discharged energy|discharged|discharge"),
    (
        "metric:imported_energy",
        "energy imported|imported energy|imported|imported from the grid|grid energy|"
        "energy from the grid|energy bought|bought from the grid",
    ),
    (
        "metric:exported_energy",
        "energy exported|exported energy|exported|exported to the grid|fed in|feed in|"
        "fed into the grid|energy sold|sold to the grid",
    ),
    ("metric:coverage", "coverage|data coverage|input coverage"),
    (
        "metric:response_time",
        "response time|response times|scrape duration|scrape time|latency|answer time|"
        "scrape durations",
    ),
    (
        "metric:availability",
        "availability|uptime|how reliable|reliability|how available|reachability|available|"
        "downtime|up time",
    ),
    ("state:charging", "charging|being charged"),
    ("state:discharging", "discharging|being discharged"),
    (
        "state:importing",
        "importing|import|imports|drawing from the grid|buying|importing from the grid",
    ),
    (
        "state:exporting",
        "exporting|export|exports|feed in to the grid|feeding in|"
        "feeding the grid|selling|exporting to the grid",
    ),
    ("state:producing", "producing|generating|making power|producing power"),
    ("amount:power", "power|how much power|how many watts|wattage"),
    ("amount", "how much|how high|how low|how large|how big"),
    ("unit:kWh energy", "kwh"),
    ("energy", "energy|how much energy|energies"),
    # Parts of a site.
    ("comp:battery", "battery|batteries|storage|storages|accumulator|accumulators|pack|packs"),
    ("comp:grid", "grid|mains|utility"),
    ("comp:solar", "panel|panels|photovoltaic|photovoltaics|modules"),
    ("comp:connectivity", "connection|connections|link|links|network|internet|communication"),
    ("comp:cells", "cell|cells"),
    # Order.
    (
        "order:worst",
        "worst|poorest|weakest|bottom|least healthy|sickest|lowest performing|worst performing|"
        "worst performer|worst performers|unhealthiest|most problematic|underperformers|laggards|"
        "worst off|most urgently|worse|doing worst|"
        "in the worst condition|in the worst state|most critical|"
        "in the worst shape|most urgent",
    ),
    (
        "order:best",
        "best|healthiest|strongest|leading|best performing|best performer|best performers|"
        "top performer|top performers|top performing|most healthy|better|doing best|"
        "in the best condition|in the best shape|fittest",
    ),
    ("top", "top"),
    ("first", "first"),
    ("order:highest", "highest|most|max|maximum|largest|biggest|greatest|descending|peak|more"),
    ("order:lowest", "lowest|least|min|minimum|smallest|fewest|ascending|less"),
    ("order:highest metric:temperature", "hottest|warmest"),
    ("order:lowest metric:temperature", "coldest|coolest"),
    ("order:highest metric:soc", "fullest|most charged"),
    ("order:lowest metric:soc", "emptiest|least charged"),
    ("order:highest metric:response_time", "slowest"),
    ("order:lowest metric:response_time", "fastest response*|quickest response*"),
    ("degree", "fastest|quickest|most quickly"),
    ("order:highest metric:cell_spread", "most imbalanced|most unbalanced|least balanced"),
    ("order:lowest metric:soh", "most degraded|most worn|weakest batter*"),
    ("adj:low", "low|too low|lower|small|little|poor|weak"),
    ("adj:high", "high|too high|elevated|large|big|higher|excessive|raised|increased"),
    # Comparing with a number.
    (
        "op:<",
        "below|under|less than|lower than|smaller than|fewer than|<|beneath|short of",
    ),
    (
        "op:>",
        "above|over|more than|higher than|greater than|larger than|exceed|exceeds|exceeding|>|"
        "beyond|past|in excess of|exceeded",
    ),
    ("op:<=", "at most|no more than|not more than|<=|≤|up to|maximum of|not above|not over"),
    ("op:>=", "at least|no less than|not less than|>=|≥|minimum of|or more|not below|not under"),
    ("between", "between|in the range of|ranging from"),
    ("op:=", "equal to|exactly|=|equals"),
    ("op:> metric:temperature", "hotter than|warmer than"),
    ("op:< metric:temperature", "colder than|cooler than"),
    ("op:> metric:soc", "fuller than|charged more than|charged above"),
    ("op:< metric:soc", "emptier than|charged less than|charged below"),
    ("unit:%", "%|percent|per cent|pct"),
    ("unit:°C", "° c|degrees|degree|degrees celsius|degrees c|celsius|°|c"),
    ("unit:V", "volt|volts|v"),
    ("unit:mV", "mv|millivolt|millivolts"),
    ("unit:W", "w|watt|watts"),
    ("unit:kW", "kw|kilowatt|kilowatts"),
    ("unit:Hz", "hz"),
    ("unit:kWh", "kilowatt hours"),
    ("unit:points", "points|point"),
    # Which sites.
    (
        "filt:priority=high",
        "p1|high priority|priority high|top priority|high prio|important|most important|"
        "prio high|highest priority|high priorities",
    ),
    (
        "filt:priority=medium",
        "mid priority|mid prio|medium priority|priority medium|medium prio|normal priority",
    ),
    ("filt:priority=low", "low priority|priority low|low prio|unimportant|lowest priority"),
    ("group:region", "by region|per region|each region|regions|region by region|every region"),
    (
        "group:location",
        "by country|per country|each country|countries|by location|per location|every country",
    ),
    (
        "group:battery_type",
        "by battery type|per battery type|battery types|each battery type|by type|by model|"
        "battery models|by battery model|per model",
    ),
    (
        "group:vendor",
        "by vendor|per vendor|vendors|by manufacturer|per manufacturer|manufacturers|by brand|"
        "per brand|brands|by maker|makers|each vendor|each manufacturer|every vendor",
    ),
    ("group:priority", "by priority|per priority|priorities|each priority"),
    ("group:tag", "by tag|per tag|tags|by kind|by category"),
    ("group:status", "by status|per status|statuses"),
    ("group:region", "which region|what region|worst region|best region"),
    ("group:location", "which country|what country"),
    ("group:priority", "which priority|which priority class|priority class|by priority class"),
    (
        "group:vendor",
        "best vendor|worst vendor|best manufacturer|worst manufacturer|which vendor|"
        "which manufacturer|which brand|which maker",
    ),
    ("group:battery_type", "which battery type|which battery model|which model"),
    ("attr:region", "region|area"),
    ("attr:location", "country|location|city|town"),
    ("attr:battery_type", "battery type|battery model|model|type"),
    ("attr:vendor", "vendor|manufacturer|brand|maker"),
    ("attr:tag", "tag|tagged|category"),
    ("attr:priority", "priority|prio"),
    # Words that steer.
    (
        "neg",
        "not|no|without|except|excluding|other than|apart from|but not|never|none|outside|neither|"
        "everything but|all but|anything but",
    ),
    ("neg and", "nor"),
    ("or", "or|either"),
    ("and", "and|as well as|both|plus|together with|but|&|n"),
    ("only", "only|just|solely|nothing but|restrict to|limit to|narrow to|filter by|filter for"),
    ("lead", "what about|how about|and what about|and how about|also|then|now show|same for"),
    ("pron", "it|its|they|them|their|these|those|this one|that one|this site|that site|the same"),
    ("pron:there", "there|of those|of these|of them|among them|among those"),
    ("pron:0", "the first one|first one|the first|the worst one|the top one|number one"),
    ("pron:1", "the second one|second one|the second|number two"),
    ("pron:2", "the third one|third one|the third|number three"),
    ("pron:-1", "the last one|last one"),
    ("by", "by"),
    ("past", "was|were|had"),
    ("past verb:did", "did"),
    ("when", "when"),
    ("if", "if"),
    ("begin", "start|started|begin|began|begun|begins|starts|stop|stopped|stops|end|ended"),
    ("than", "than"),
    (
        "future",
        "will|forecast*|predict*|going to|expect|expected|future|soon|tomorrow|next|shall|"
        "would|likely|probably|upcoming",
    ),
    ("all", "all|every|each|everything|everyone|whole|entire"),
    ("site", "site|sites|plant|plants|system|systems|installation|installations|station|stations"),
    ("site", "fleet|portfolio|ones|one|places|place|unit|units|facility|facilities|assets|asset"),
    (
        "",
        "a|an|the|is|are|be|been|being|am|do|does|doing|has|have|having|of|in|at|on|for|to|"
        "with|from|per|as|that|which|what|who|whom|whose|where|how|much|any|some|anything|"
        "something|anyone|there is|there are|are there|is there|me|my|our|us|we|i|you|your|"
        "please|show|shows|showing|list|find|name|give|gives|display|tell|say|see|view|get|let|"
        "know|want|look|would like|i would like|we would like|looks|looking|check|can|could|"
        "should|may|might|must|need|needs|needed|needing|require|requires|required|requiring|"
        "right now|now|currently|current|at the moment|at present|presently|momentarily|"
        "devices|device|today s|so far|still|already|yet|so|too|very|really|quite|most of|hey|"
        "hi|hello|good morning|morning|evening|good afternoon|good evening|dear|thanks|thank you|"
        "ok then|"
        "well then|go|goes|went|gone|going on|come|comes|came|keep|run|runs|running|work|works|"
        "working|make|makes|made|situation|details|detail|detailed|info|information|about|data|"
        "values|value|reading|readings|figures|figure|number|numbers|report on|regarding|"
        "concerning the|respect|terms|according|based|sorted by|ordered by|measured|present|"
        "live|latest|recent|recently|lately|answer|question|quick|quickly|short|main|key|"
        "whether|out|into|around|across|among|within|during|s|t|re|because|compared with|"
        "compared to|to each other|each other|with each other|one another|them all|"
        "currently have|happen|happening|happens|think|just now|actually|exactly how|kind of|"
        "sort of|lot|lots|many|few|several|located|based in|operating|show me|give me|tell me|"
        "i want to know|i would like to know|would like to know|i would like to see|"
        "would like to see|could you|can you|would you|could you tell me|would you tell me|"
        "will you tell me|please tell me|do we have|do you see|have you got|got|gets|getting|"
        "become|became|turn out|happen to|look at|looked at|focus|focus on|deserve|deserves|"
        "call for|calls for|had to|feel|feels|affected|affect|affects|hit|experience|"
        "experiencing|experienced|report|reports|reported|reporting|suffer|suffers|suffer from|"
        "suffering from|face|faces|facing|show up|showing up|seen|saw|by how much|furthest|"
        "installed in|installed at|pls|plz|anywhere|everywhere|somewhere|anybody|somebody|"
        "stuff|things|thing|check if|see if|know if|tell me if|wonder if|let me know if|"
        "take a look at|take a look|furthest from|far from|start having|started having|wich|"
        "whch|wihch|hav|shwo|teh|waht|wht|folks|guys|yo|cheers|kindly|wanna|gimme|lemme|k",
    ),
    # What is known not to be known.
    ("refuse:age", "oldest|newest|youngest|age|ages|how old|how new"),
    (
        "refuse:cell",
        "which cell|what cell|weakest cell|worst cell|best cell|hottest cell|each cell|"
        "every cell|single cell*|cell number|which cells",
    ),
    (
        "refuse:money",
        "earn|earned|earns|earning|earnings|revenue*|income|profit*|tariff*|price of power|"
        "price of energy|price of electricity|cost of electricity|cost of power|"
        "cost of energy|electricity price*|power price*|energy price*|electricity cost*|"
        "energy cost*|energy bill*|electricity bill*|power bill*|pay|paid|savings|saved|"
        "roi|payback",
    ),
    (
        "refuse:weather",
        "weather|rain|raining|rainy|sunny|cloud*|wind|windy|snow*|storm*|sunshine|irradiance|"
        "outside temperature|ambient temperature|sunrise|sunset",
    ),
    ("refuse:carbon", "carbon|emission*|co2|carbon dioxide|footprint|co 2"),
    (
        "refuse:people",
        "contact|contacts|phone*|phone number|telephone|address|addresses|owner|owners|"
        "customer|customers|responsible|who owns|who installed|installer|who to call|who do i call|"
        "who should i call|whom do i call|whom should i call|who can i call|whom to call",
    ),
    ("refuse:device", "firmware*|serial number*|software version|hardware|ip|version"),
    ("refuse:contract", "warrant*|guarantee*|contract*|sla|insurance"),
    ("refuse:prices", "price list|price lists|currency"),
    (
        "refuse:imbalance",
        "load imbalance*|phase imbalance*|grid imbalance*|voltage imbalance*|power imbalance*",
    ),
    ("refuse:limit", "threshold*|limit|limits|limit value*"),
)
