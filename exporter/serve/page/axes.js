// Ticks of axes: round numbers, and times at which a clock or a calendar turns.

function numberTicks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) || 10);
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) ticks.push(n * step);
  return { ticks, step };
}

// As many digits as tell two ticks apart.
function tickText(value, step) {
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  return (Math.abs(value) < step / 1000 ? 0 : value).toFixed(digits).replace("-", "−");
}

const HOUR = 3600, DAY = 86400;
const CLOCK_STEPS = [60, 120, 300, 600, 900, 1800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR];
const DAY_STEPS = [1, 2, 7, 14];
const MONTH_STEPS = [1, 2, 3, 6, 12, 24];

// Unix seconds and texts, in the zone of the browser.
function timeTicks(begin, end, most) {
  const rough = (end - begin) / Math.max(1, most);
  const date = new Date(begin * 1000), ticks = [];
  const format = (options) => (t) => new Date(t * 1000).toLocaleString("en-GB", options);
  let text, next;
  const clock = CLOCK_STEPS.find((step) => step >= rough);
  const days = DAY_STEPS.find((step) => step * DAY >= rough);
  if (clock) {
    date.setHours(0, 0, 0, 0);
    next = (d) => d.setTime(d.getTime() + clock * 1000);
    text = end - begin > DAY ? format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }) : format({ hour: "2-digit", minute: "2-digit" });
  } else if (days) {
    date.setHours(0, 0, 0, 0);
    next = (d) => d.setDate(d.getDate() + days);
    text = format({ day: "numeric", month: "short" });
  } else {
    const months = MONTH_STEPS.find((step) => step * 30 * DAY >= rough) || 24;
    date.setHours(0, 0, 0, 0);
    date.setMonth(0, 1);
    next = (d) => d.setMonth(d.getMonth() + months);
    text = format({ month: "short", year: "numeric" });
  }
  for (let n = 0; n < 5000 && date.getTime() / 1000 <= end; n += 1) {
    const at = date.getTime() / 1000;
    if (at >= begin) ticks.push({ at, text: text(at) });
    next(date);
  }
  return ticks;
}

const moment = (t) => new Date(t * 1000).toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
