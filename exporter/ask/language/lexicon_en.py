"""English questions and states: what each phrase means. ``*`` ends a stem; the longest wins."""

from __future__ import annotations

ENTRIES: tuple[tuple[str, str], ...] = (
    # What is asked.
    (
        "intent:attention",
        "attention|problem|problems|problematic|trouble|troubles|issue|issues|fault|faults|faulty|"
        "wrong|broken|failing|failed|worry|worries|worried|concern|concerns|concerning|look after|"
        "looked after|look at first|looked at first|look first|visit first|go to first|fix first|"
        "do first|tackle first|do next|"
        "start with|handle first|keep an eye on|break|breaks|broke|breaking|act on|action|"
        "actions|to do|todo|to be done|fix|fixing|repair|repairs|"
        "need maintenance|needs maintenance|maintenance needed|due for maintenance|struggling|"
        "suffering|unhealthy|bad shape|help needed|needs help|need help|"
        "care|troubled|in trouble|misbehaving|sick|ill|ailing|incident|incidents|events|happened|"
        "bad|poorly|not ok|not okay|not fine|not well|not right|not in order|not good|pressing|"
        "go first|anything changed|what changed|what has changed|what is new|anything new|news|"
        "needs service|anything happen|something happen|biggest problem*|worst problem*|"
        "needs doing|need doing|drive to|visit|deal with|take care of|on fire|burning|alerts|alert",
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
        "how did the fleet do|how did we do|how did the sites do|how have we been doing|"
        "how did it go|how was the fleet|how were the sites|how is the fleet|how is our fleet|"
        "how is the portfolio|how are the sites|"
        "how are our sites|"
        "how does the fleet look|how is the whole fleet|how is my fleet|how are my sites|"
        "at a glance|rundown|big picture|how does it look|how do things look|what is up|"
        "what is going on|"
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
        "better than|worse than|compair|compar|comparre|which is better|which is worse|"
        "side by side|next to|"
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
        "when were|when has|when have|from when|since what time|how long already",
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
    ("intent:history order:worst metric:temperature", "getting hotter|getting warmer|heating up"),
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
        "expense|expenses|estimate|estimates|cost estimate*|expensive|money|budget|euro|euros|"
        "dollars|spend|bill|repair bill|"
        "how much to fix|how much to repair",
    ),
    ("intent:attention intent:cost", "maintenance cost*|repair cost*|cost of maintenance"),
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
        "tired batter*|weak state of health|end of life|need* replacing|need* replacement|"
        "need* to be replaced|due for replacement|battery replacement*|batter* to replace|"
        "replace batter*",
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
        "cells apart|drifting apart|drift apart|cells drifting apart|cell difference|"
        "cell differences|cell drift|cell problem*|cell issue*|"
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
        "no grid|grid drop|grid drops|grid dropped|grid lost|lost grid|lose grid|lose the grid|"
        "lose power|lost power|lost the grid|"
        "lost their grid|without grid|without a grid|"
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
        "no data|not sending data|no readings|no reading|without data|silent|"
        "not reporting|no values|sending nothing|sends nothing|send nothing|gone quiet|"
        "went quiet|not sending|no measurements|without readings|gone silent|blind|"
        "stale|stale data|not delivering data|deliver no data|delivers no data|stopped reporting",
    ),
    (
        "cond:offline",
        "offline|not answering|not answer|not responding|not respond|unreachable|down|"
        "not reachable|not connected|disconnected|lost connection|no connection|no contact|dead|"
        "no response|no reply|unavailable|stopped answering|stopped responding|no answer|"
        "not online|not available|not up|cut off|lost contact|out of contact|unresponsive|"
        "do not answer|does not answer|do not respond|does not respond|go offline|went offline|"
        "gone offline|dropped out|dropped off|out of reach|can not be reached|not reached|"
        "lost communication|went down|going offline|not heard from|not heard anything from|"
        "no sign of life|lost touch",
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
        "what is unknown|unknown about|missing data|data is missing|data are missing|"
        "what is missing|missing|missing readings|"
        "missing reading|incomplete|missing sensor*|missing value*|"
        "missing input*|blind spot*|readings missing|incomplete data|incomplete readings|"
        "unknown readings|partial data|values missing|some readings missing|data gaps",
    ),
    (
        "cond:maintenance",
        "in maintenance|under maintenance|being maintained|being worked on|being serviced|"
        "in service window|in a maintenance window",
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
    ("cond:warning", "in warning|warning|warnings|warning status|status warning|yellow|amber"),
    ("cond:critical", "critical|critical status|status critical|in critical state|red|reds"),
    ("cond:unknown", "not scraped|never scraped|not polled|not tried yet|status unknown|unknown"),
)
