/** Where a day begins: a time zone and a time of day, `HH:MM`. */
export type ResetClock = { now: number; timeZone?: string; timeOfDay?: string }

const unitMs: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const words: Record<string, string> = {
  hourly: '1h',
  daily: '24h',
  weekly: '7d',
  monthly: '30d',
}

/** `30s`, `5m`, `1h`, `7d`, `2w`, `1mo` and the words hourly, daily, weekly, monthly. Undefined: not a duration. */
export function parseDuration(text: string): { count: number; unit: string } | undefined {
  const found = /^(\d{1,9})(s|m|h|d|w|mo)$/.exec(words[text.trim().toLowerCase()] ?? text.trim())
  if (!found) return undefined
  const count = Number(found[1])
  const unit = found[2] ?? ''
  if (count === 0 || (unit === 'mo' && count > 1)) return undefined
  return { count, unit }
}

/** How long it is, in milliseconds; a month is 30 days. Undefined: not a duration. */
export function durationMs(text: string): number | undefined {
  const parsed = parseDuration(text)
  if (!parsed) return undefined
  const ms = parsed.unit === 'mo' ? 30 * 86_400_000 : parsed.count * (unitMs[parsed.unit] ?? 0)
  return Number.isSafeInteger(ms) && ms < 8.64e15 ? ms : undefined
}

/**
 * When a budget of this duration starts again, aligned to the clock as LiteLLM does: hours to the multiple since
 * midnight, a day to midnight, 7 days to Monday, 30 days or a month to the first. What is no duration resets at midnight.
 */
export function nextReset(duration: string, { now, timeZone, timeOfDay }: ResetClock): number {
  const zone = timeZone ?? 'UTC'
  const { count, unit } = parseDuration(duration) ?? { count: 1, unit: 'd' }
  const shift = offsetOfDay(timeOfDay)
  const local = wallOf(now, zone) - shift
  const midnight = Math.floor(local / 86_400_000) * 86_400_000
  const step = (unitMs[unit] ?? 0) * count
  const next = (): number => {
    if (unit === 's' || unit === 'm' || unit === 'h') {
      if (step === 86_400_000) return midnight + 86_400_000
      // Steps that do not divide a day still begin again at each midnight when they are shorter than one.
      const since = local - midnight
      const at = midnight + (Math.floor(since / step) + 1) * step
      return step < 86_400_000 ? Math.min(at, midnight + 86_400_000) : at
    }
    const day = new Date(midnight)
    if (unit === 'mo' || (unit === 'd' && count === 30))
      return Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 1)
    if ((unit === 'd' && count === 7) || (unit === 'w' && count === 1)) {
      const untilMonday = (8 - day.getUTCDay()) % 7 || 7
      return midnight + untilMonday * 86_400_000
    }
    return midnight + step
  }
  return instantOf(next() + shift, zone)
}

const offsetOfDay = (time: string | undefined): number => {
  const found = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(time ?? '')
  return found ? (Number(found[1]) * 60 + Number(found[2])) * 60_000 : 0
}

const formats = new Map<string, Intl.DateTimeFormat | undefined>()
function formatOf(zone: string): Intl.DateTimeFormat | undefined {
  if (zone === 'UTC') return undefined
  if (!formats.has(zone)) {
    let format: Intl.DateTimeFormat | undefined
    try {
      format = new Intl.DateTimeFormat('en-US', {
        timeZone: zone,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      })
    } catch {
      format = undefined
    }
    formats.set(zone, format)
  }
  return formats.get(zone)
}

/** What a clock on the wall shows, as if it were UTC. */
export function wallOf(instant: number, zone: string): number {
  const format = formatOf(zone)
  if (!format) return instant
  const part: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(instant)) part[type] = Number(value)
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((instant % 1000) + 1000) % 1000)
}

/** The instant at which a clock on the wall shows this. In the hour that a change of the clock skips: just after it. */
export function instantOf(wall: number, zone: string): number {
  let instant = wall
  for (let i = 0; i < 3; i++) {
    const off = wallOf(instant, zone) - wall
    if (off === 0) break
    instant -= off
  }
  return instant
}
