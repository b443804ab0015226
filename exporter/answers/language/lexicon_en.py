"""English: what each phrase means. ``*`` ends a stem; the longest phrase wins."""

from __future__ import annotations

ENTRIES: tuple[tuple[str, str], ...] = (
    # What is asked.
    (
        "intent:attention",
        "attention|problem|problems|problematic|trouble|troubles|issue|issues|fault|faults|faulty|"
        "wrong|broken|failing|failed|worry|worries|worried|concern|concerns|concerning|look after|"
        "looked after|act on|action|actions|to do|todo|to be done|fix|fixing|repair|repairs|"
        "maintenance|struggling|suffering|unhealthy|bad shape|help needed|needs help|need help|"
        "care|troubled|in trouble|misbehaving|sick|ill|ailing|incident|incidents|events|happened|"
        "bad|poorly|not ok|not okay|not fine|not well|not right|not in order|not good|pressing|"
        "go first|anything changed|what changed|what has changed|what is new|anything new|news|"
        "needs service|anything happen|something happen|biggest problem*|worst problem*|"
        "needs doing|need doing|drive to|visit|deal with|take care of|on fire|alerts|alert",
    ),
    (
        "intent:attention severity:critical",
        "urgent|urgently|urgency|emergency|emergencies|critical issue*|critical problem*|"
        "critical fault*|immediate|immediately|immediate attention|severe|serious|acute|"
        "critical alert*|most pressing|right away|urgent attention|urgent problem*|urgent issue*|"
        "serious problem*|serious issue*",
    ),
    (
        "intent:status",
        "summary|summarise|summarize|overview|status|state|how are we doing|how are things|"
        "how is everything|how is it going|everything ok|everything okay|everything fine|"
        "everything all right|all good|all well|all fine|all ok|sum up|brief|briefing|"
        "how is the fleet|how is our fleet|how is the portfolio|how are the sites|"
        "how are our sites|"
        "how does the fleet look|how is the whole fleet|how is my fleet|how are my sites|"
        "at a glance|big picture|how does it look|how do things look|what is up|what is going on|"
        "is everything ok|is everything okay|is everything fine|is everything all right|"
        "is everybody ok|is everyone ok|is everybody fine|is everyone fine|"
        "is everything in order|is all well|is all ok|is everything working|snapshot|recap",
    ),
    (
        "intent:rank",
        "rank|ranks|ranked|ranking|rankings|sort|sorted|order|ordered|leaderboard|league table|"
        "list all sites|show all sites|all sites listed|list every site|list the sites|list sites",
    ),
    (
        "intent:compare",
        "compare|compares|compared|comparing|comparison|versus|vs|against|difference|differences|"
        "difference between|differences between|"
        "better than|worse than|which is better|which is worse|side by side|next to|"
        "in comparison|contrast|head to head",
    ),
    (
        "intent:outliers",
        "outlier|outliers|anomaly|anomalies|anomalous|unusual|unusually|abnormal|abnormally|odd|"
        "oddly|strange|strangely|stand out|stands out|standing out|out of line|"
        "different from the others|different from others|different from peers|unlike the others|"
        "unlike their peers|compared with their peers|compared to their peers|from their peers|"
        "strange compared with their peers|unlike its peers|differ from the others|"
        "differ from their peers|"
        "differ from peers|deviate*|deviating|odd ones|odd one out|peculiar|weird|irregular|"
        "differently from|misfit|misfits",
    ),
    ("intent:count", "how many|number of|count|count of|how often are there|what number of"),
    (
        "intent:why",
        "why|explain|explanation|reason for|reasons for|reason|reasons|how come|cause|causes|"
        "caused|what is wrong with|what is the matter with|what is the problem with|"
        "what is the issue with|what is up with|what is going on with|what is going on at|"
        "what happened to|what happened at|what is wrong at|what makes|break down|breakdown|"
        "points lost|lost points|lose points|losing points|deducted|deduction|deductions|"
        "what is behind|what drags down|what pulls down|justify|what is not right with|"
        "what is not ok with",
    ),
    (
        "intent:since",
        "since when|how long|for how long|how long has|how long have|when did|when was|"
        "when were|from when|since what time|how long already|how old",
    ),
    (
        "intent:history",
        "trend|trends|trending|history|historical|development|develop|develops|developed|"
        "developing|evolve|evolved|evolution|over time|course|change|changes|changed|changing|"
        "chart|graph|plot|curve|timeline|progress|progressed|past values|time series|move|moved|"
        "vary|varied|drift|drifted|drifting|profile",
    ),
    (
        "intent:history order:worst",
        "getting worse|get worse|got worse|worsen|worsens|worsened|worsening|deteriorat*|declin*|"
        "degrading|going down|gone down|dropping|dropped|falling|fallen|sinking|"
        "losing health|become worse|became worse|gone bad|slipping|decay|decaying|losing ground",
    ),
    (
        "intent:history order:best",
        "getting better|get better|got better|improve|improves|improved|improving|improvement|"
        "improvements|recover|recovered|recovering|recovery|become better|became better",
    ),
    (
        "intent:cost",
        "cost|costs|costing|what will it cost|how much will it cost|what will that cost|"
        "how much does it cost|what does it cost|what would it cost|how much will that cost|"
        "what will they cost|how much will they cost|what is it going to cost|price|prices|"
        "expense|expenses|expensive|money|budget|euro|euros|dollars|spend|bill|repair bill|"
        "how much to fix|how much to repair",
    ),
    (
        "intent:help",
        "help|what can you do|what can you answer|what can you tell me|what can i ask|"
        "what may i ask|what questions can i ask|what do you know|what can i say|examples|"
        "how do i use this|usage|commands|what do you understand|who are you|what are you",
    ),
    ("intent:mean", "average|mean|median|averaged|total|totals|sum|combined|altogether|in total"),
    # Conditions.
    (
        "cond:low_soh",
        "poor state of health|bad state of health|bad soh|poor soh|weak batter*|degraded batter*|"
        "aged batter*|aging batter*|ageing batter*|worn batter*|worn out|worn out batter*|"
        "old batter*|degraded|battery degradation|batter* degraded|soh problem*|soh issue*|"
        "tired batter*|weak state of health|end of life",
    ),
    (
        "cond:hot",
        "hot|hot batter*|overheat*|too hot|over temperature|overtemperature|too warm|running hot|"
        "heat problem*|thermal problem*|thermal issue*|temperature problem*|temperature issue*|"
        "temperature alarm*|overheated batter*|warm batter*|heat issue*|boiling|cooling problem*",
    ),
    (
        "cond:cell_imbalance",
        "cell imbalance|cell imbalances|imbalance|imbalances|imbalanced|unbalanced|out of balance|"
        "cells apart|cell difference|cell differences|cell drift|cell problem*|cell issue*|"
        "uneven cells|imbalanced cells|unbalanced cells|weak cell*|bad cell*|cells differ|"
        "drifting cells|cell balance problem*|balancing problem*|balancing issue*|cell trouble|"
        "cells out of balance|diverging cells|cell divergence",
    ),
    (
        "cond:low_soc",
        "empty|nearly empty|almost empty|low charge|low batter*|low on charge|running low|"
        "run down|flat batter*|flat|discharged batter*|empty batter*|drained|drained batter*|"
        "nearly flat|out of charge|uncharged|deeply discharged",
    ),
    (
        "cond:no_battery_data",
        "no battery data|no battery reading|no battery readings|silent batter*|battery silent|"
        "no battery monitor|no battery values|without battery data|missing battery data|"
        "battery data missing|no data from the battery|without battery readings",
    ),
    (
        "cond:no_grid",
        "no grid|grid lost|lost grid|lost the grid|lost their grid|without grid|without a grid|"
        "grid outage*|grid failure*|power outage*|power cut*|power failure*|blackout*|"
        "grid down|grid is down|grid is gone|no mains|lost mains|lost the mains|mains failure*|"
        "islanded|island mode|disconnected from the grid|not connected to the grid|"
        "without mains|outage|outages|grid loss|no utility|no grid connection|no utility power|"
        "grid fail*|mains lost|off the mains",
    ),
    (
        "cond:off_frequency",
        "frequency problem*|frequency issue*|wrong frequency|bad frequency|off frequency|"
        "frequency out of band|frequency out of range|frequency deviation*|frequency off|"
        "frequency is off|frequency outside the band|frequency fault*|abnormal frequency",
    ),
    (
        "cond:off_voltage",
        "voltage problem*|voltage issue*|wrong voltage|bad grid voltage|grid voltage problem*|"
        "grid voltage issue*|overvoltage|undervoltage|over voltage|under voltage|voltage fault*",
    ),
    (
        "cond:unsteady_grid",
        "unsteady grid|unstable grid|weak grid|fluctuating grid|unsteady frequency|"
        "grid unsteady|grid is unsteady|grid unstable|shaky grid|unstable frequency",
    ),
    (
        "cond:grid_problem",
        "grid problem*|grid issue*|grid trouble|grid fault*|mains problem*|grid alarm*|bad grid|"
        "problem* with the grid|issue* with the grid|trouble with the grid|grid related problem*",
    ),
    (
        "cond:battery_problem",
        "battery problem*|battery issue*|battery trouble|battery fault*|problem* with the batter*|"
        "issue* with the batter*|trouble with the batter*|bad batter*|problem* with batter*|"
        "issue* with batter*|battery failure*|sick batter*|unhealthy batter*|faulty batter*|"
        "battery trouble*",
    ),
    (
        "cond:low_pv",
        "underperform*|pv underperform*|solar underperform*|low pv|low solar|poor solar|poor pv|"
        "weak solar|weak pv|solar problem*|pv problem*|solar issue*|pv issue*|low yield|"
        "poor yield|low production|producing too little|too little solar|too little pv|"
        "dirty panels|panel problem*|solar not working|pv fault*|solar fault*|low pv yield|"
        "low solar yield|solar panels underperform*|problem* with solar|problem* with pv|"
        "problem* with the panels|weak yield|low generation|solar trouble|pv trouble|bad solar",
    ),
    (
        "cond:no_data",
        "no data|not sending data|no readings|no reading|without data|silent|missing data|"
        "not reporting|no values|sending nothing|sends nothing|send nothing|gone quiet|"
        "went quiet|not sending|no measurements|without readings|gone silent|blind|"
        "not delivering data|deliver no data|delivers no data|stopped reporting",
    ),
    (
        "cond:offline",
        "offline|not answering|not answer|not responding|not respond|unreachable|down|"
        "not reachable|not connected|disconnected|lost connection|no connection|no contact|dead|"
        "no response|no reply|unavailable|stopped answering|stopped responding|no answer|"
        "not online|not available|not up|cut off|lost contact|out of contact|unresponsive|"
        "do not answer|does not answer|do not respond|does not respond|go offline|went offline|"
        "gone offline|dropped out|dropped off|out of reach|can not be reached|not reached|"
        "lost communication|went down|going offline",
    ),
    ("cond:!offline", "online|reachable|answering|up|connected|alive|responding|up and running"),
    (
        "cond:flaky",
        "flaky|unstable connection|bad connection|poor connection|failing scrapes|timeouts|"
        "timing out|unreliable|intermittent|shaky connection|poor link|bad link|weak connection|"
        "dropping connection|failed scrapes|scrapes failing|connection drops",
    ),
    (
        "cond:connection_problem",
        "connection problem*|connectivity problem*|network problem*|communication problem*|"
        "link problem*|connection issue*|connectivity issue*|network issue*|communication issue*|"
        "internet problem*|internet issue*|comms problem*|connection trouble|network trouble|"
        "comms issue*|connectivity trouble",
    ),
    (
        "cond:device_alarm",
        "alarm|alarms|devices raised an alarm|devices in alarm|devices with alarms|"
        "device alarm*|active alarm*|alarming|in alarm|raise an alarm|"
        "raised an alarm|bms alarm*|inverter alarm*",
    ),
    ("cond:device_message", "device warning*|device message*|alarms or warnings|bms warning*"),
    (
        "cond:implausible",
        "implausible|impossible value*|sensor fault*|sensor problem*|sensor issue*|nonsense|"
        "wrong value*|outside physics|implausible value*|implausible reading*|broken sensor*|"
        "impossible reading*|bad sensor*|unphysical|faulty sensor*|absurd value*",
    ),
    (
        "cond:missing_readings",
        "data is missing|data are missing|what is missing|missing|missing readings|"
        "missing reading|incomplete|missing sensor*|missing value*|"
        "missing input*|blind spot*|readings missing|incomplete data|incomplete readings|"
        "unknown readings|partial data|values missing|some readings missing|data gaps",
    ),
    ("cond:healthy", "healthy|status healthy|in good health|perfect|flawless"),
    ("cond:good", "status good|good status"),
    (
        "cond:!needs_attention",
        "fine|ok|okay|all right|alright|in order|without problems|without issues|"
        "without trouble|problem free|no problems|no issues|no problem|no issue|no trouble|"
        "no faults|working well|running well|trouble free|nothing wrong|doing well|well|"
        "working properly|running fine|no complaints",
    ),
    ("cond:warning", "in warning|warning|warnings|warning status|status warning|yellow"),
    ("cond:critical", "critical|critical status|status critical|in critical state|red"),
    ("cond:unknown", "not scraped|never scraped|not polled|not tried yet|status unknown|unknown"),
    # Metrics.
    (
        "metric:score",
        "score|scores|health score|health scores|health|overall score|overall health|rating|"
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
        "battery level|battery levels|charging level|how full|full|charge|socs|level of charge|"
        "battery charge|battery soc|how charged|fill level",
    ),
    (
        "metric:soh",
        "soh|state of health|percent health|states of health|battery health|sohs|battery soh|"
        "capacity left|"
        "remaining capacity|battery state of health|health of the batter*|battery condition",
    ),
    (
        "metric:temperature",
        "temperature|temperatures|temp|temps|battery temperature|battery temperatures|how hot|"
        "how warm|battery temp|heat|warm|cell temperature|cell temperatures",
    ),
    (
        "metric:cell_spread",
        "cell spread|cell spreads|spread|cell voltage spread|cell voltage difference|"
        "voltage spread|cell deviation|cell voltages|spread of the cells|cell balance|balance",
    ),
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
        "power demand|power draw|electricity use",
    ),
    (
        "metric:load_energy",
        "energy consumption|energy consumed|energy used|energy use|consumed|energy demand",
    ),
    ("metric:genset_power", "generator power|genset power|generator|genset|generators"),
    ("metric:cycles", "cycles|charge cycles|cycle count|cycle counts|battery cycles"),
    ("metric:charged_energy", "energy charged|charged energy|charged|charge energy"),
    ("metric:discharged_energy", "energy discharged|discharged energy|discharged"),
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
    ("amount", "power|how much power|how many watts|how much|wattage"),
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
    ("top", "top|first"),
    ("order:highest", "highest|most|max|maximum|largest|biggest|greatest|descending|peak|more"),
    ("order:lowest", "lowest|least|min|minimum|smallest|fewest|ascending|less"),
    ("order:highest metric:temperature", "hottest|warmest"),
    ("order:lowest metric:temperature", "coldest|coolest"),
    ("order:highest metric:soc", "fullest|most charged"),
    ("order:lowest metric:soc", "emptiest|least charged"),
    ("order:highest metric:response_time", "slowest"),
    ("order:lowest metric:response_time", "fastest|quickest"),
    ("order:highest metric:cell_spread", "most imbalanced|most unbalanced|least balanced"),
    ("order:lowest metric:soh", "oldest batter*|most degraded|most worn|weakest batter*"),
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
        "high priority|priority high|top priority|high prio|important|most important|"
        "prio high|highest priority|high priorities",
    ),
    ("filt:priority=medium", "medium priority|priority medium|medium prio|normal priority"),
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
    ("group:vendor", "which vendor|which manufacturer|which brand|which maker"),
    ("group:battery_type", "which battery type|which battery model|which model"),
    ("attr:region", "region|area"),
    ("attr:location", "country|location|city|town"),
    ("attr:battery_type", "battery type|battery model|model|type"),
    ("attr:vendor", "vendor|manufacturer|brand|maker"),
    ("attr:tag", "tag|tagged|category"),
    ("attr:priority", "priority|prio"),
    # Words that steer.
    ("neg", "not|no|without|except|excluding|other than|apart from|but not|never|none|outside"),
    ("or", "or|either"),
    ("and", "and|as well as|both|plus|together with"),
    ("only", "only|just|solely|nothing but|restrict to|limit to|narrow to|filter by|filter for"),
    ("lead", "what about|how about|and what about|and how about|also|then|now show|same for"),
    ("pron", "it|its|they|them|their|these|those|this one|that one|this site|that site|the same"),
    ("pron:there", "there|of those|of these|of them|among them|among those"),
    ("pron:0", "the first one|first one|the first|the worst one|the top one|number one"),
    ("pron:1", "the second one|second one|the second|number two"),
    ("pron:2", "the third one|third one|the third|number three"),
    ("pron:-1", "the last one|last one"),
    ("past", "was|were|did|had"),
    ("than", "than"),
    ("command", "charge the|discharge the|charge up|charge it|stop charging|start charging"),
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
        "a|an|the|is|are|be|been|being|am|do|does|doing|has|have|having|of|in|at|on|for|to|with|"
        "from|by|per|as|that|which|what|who|whom|whose|where|when|how|much|any|some|anything|"
        "something|anyone|there is|there are|are there|is there|me|my|our|us|we|i|you|your|"
        "please|show|shows|showing|list|find|name|give|gives|display|tell|say|see|view|get|let|"
        "know|want|look|would like|i would like|we would like|looks|looking|check|can|could|"
        "should|may|might|must|need|needs|"
        "needed|needing|require|requires|required|requiring|right now|now|currently|current|"
        "at the moment|at present|presently|momentarily|devices|device|today s|so far|still|"
        "already|yet|so|"
        "too|very|really|quite|most of|hey|hi|hello|good morning|good afternoon|good evening|dear|"
        "thanks|thank you|ok then|well then|"
        "go|goes|went|gone|going on|come|comes|came|keep|run|runs|running|work|works|working|make|"
        "makes|made|situation|details|detail|detailed|info|information|about|data|values|value|"
        "reading|readings|figures|figure|number|numbers|report on|regarding|concerning the|"
        "respect|terms|according|based|sorted by|ordered by|measured|present|live|latest|recent|"
        "recently|lately|answer|question|quick|quickly|short|main|key|if|whether|out|into|"
        "around|across|among|within|during|since|long|s|t|re|because|"
        "compared with|compared to|to each other|each other|with each other|one another|them all|"
        "currently have|happen|happening|happens|think|mean by|just now|actually|exactly how|"
        "kind of|sort of|lot|lots|many|few|several|located|based in|installed|operating|owned|"
        "having|show me|give me|tell me|i want to know|i would like to know|would like to know|"
        "i would like to see|would like to see|could you|can you|would you|"
        "could you tell me|would you tell me|will you tell me|please tell me|do we have|"
        "do you see|have you got|got|gets|getting|become|became|turn out|start|started|begin|"
        "began|begun|begins|starts|stop|stopped|happen to|use|used|uses|take|takes|took|look at|"
        "looked at|focus|focus on|pay|paid|deserve|deserves|call for|calls for|put|had to|"
        "feel|feels|affected|affect|affects|hit|experience|experiencing|experienced|report|"
        "reports|reported|reporting|suffer|suffers|suffer from|suffering from|face|faces|facing|"
        "show up|showing up|seen|saw|last|ago|by how much|furthest|far|further",
    ),
)
