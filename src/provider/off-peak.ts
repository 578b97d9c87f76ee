import { type JsonObject, list, object, text } from '../json/json.ts'

/** Is it off-peak? Daily windows, and windows for some weekdays; one that ends before it starts goes past midnight. */
export function offPeakClock(night: JsonObject): (at: number) => boolean {
  const daily = windowsOf(night.hours_utc)
  const weekly = list(night.windows)
    .map(object)
    .map((rule) => ({
      days: Array.isArray(rule.weekdays) ? new Set(rule.weekdays.map(dayOf)) : undefined,
      windows: windowsOf(rule.hours_utc),
    }))
  const weekday = calendarOf(text(night.weekday_timezone))
  return (at) => {
    const now = Math.floor(at / 60_000) % 1440
    const within = ({ start, end }: Window): boolean =>
      start < end ? start <= now && now < end : now >= start || now < end
    return (
      daily.some(within) ||
      weekly.some(({ days, windows }) => windows.some(within) && (days?.has(weekday(at)) ?? true))
    )
  }
}

type Window = { start: number; end: number }
function windowsOf(value: unknown): Window[] {
  return [value].flat().flatMap((entry) => {
    const match = /^\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$/.exec(text(entry) ?? '')
    if (!match) return []
    const [h1 = 0, m1 = 0, h2 = 0, m2 = 0] = match.slice(1).map(Number)
    return h1 > 23 || h2 > 23 || m1 > 59 || m2 > 59
      ? []
      : [{ start: h1 * 60 + m1, end: h2 * 60 + m2 }]
  })
}

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const dayOf = (value: unknown): number =>
  typeof value === 'number'
    ? value
    : weekdays.indexOf((text(value) ?? '').trim().toLowerCase().slice(0, 3)) + 1

/** Monday is 1. The providers' weekdays are their own: a Saturday in Shanghai begins on a Friday in UTC. */
function calendarOf(zone: string | undefined): (at: number) => number {
  const utc = (at: number): number => new Date(at).getUTCDay() || 7
  if (zone === undefined || zone.trim() === '') return utc
  try {
    const format = new Intl.DateTimeFormat('en-US', { weekday: 'short', timeZone: zone.trim() })
    return (at) => dayOf(format.format(at))
  } catch {
    return utc
  }
}
