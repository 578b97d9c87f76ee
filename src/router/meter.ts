/** What is remembered of how deployments are used and how fast they answer: for strategies and limits that ask. */
export type Meter = {
  started(id: string): void
  used(id: string, tokens: number): void
  /** Requests and tokens of this minute. */
  requests(id: string): number
  tokens(id: string): number
  /** Seconds of a whole answer, by token where its tokens are known, or until the first words of a stream. */
  took(id: string, what: 'whole' | 'first', seconds: number): void
  /** What is usual of late; undefined where nothing is known. For a stream, its first words count where they are known. */
  latency(id: string, stream: boolean): number | undefined
}

export type MeterOptions = {
  now: () => number
  /** How long a measured time counts. */
  ttlSeconds?: number
  /** How many of them are kept. */
  sizeMax?: number
  /** 0 to 1: this share of first words came sooner; absent: their mean. */
  firstPercentile?: number | undefined
}

type Minute = { minute: number; requests: number; tokens: number }
type Time = { at: number; seconds: number }

export function createMeter({
  now,
  ttlSeconds = 3600,
  sizeMax = 10,
  firstPercentile,
}: MeterOptions): Meter {
  /** Ids are those of rows of the config: they do not grow with what clients ask for. */
  const minutes = new Map<string, Minute>()
  const times = { whole: new Map<string, Time[]>(), first: new Map<string, Time[]>() }

  function of(id: string): Minute {
    const minute = Math.floor(now() / 60_000)
    const known = minutes.get(id)
    if (known?.minute === minute) return known
    const fresh = { minute, requests: 0, tokens: 0 }
    minutes.set(id, fresh)
    return fresh
  }

  const recent = (what: 'whole' | 'first', id: string): number[] =>
    (times[what].get(id) ?? [])
      .filter(({ at }) => at > now() - ttlSeconds * 1000)
      .map(({ seconds }) => seconds)

  return {
    started(id) {
      of(id).requests++
    },
    used(id, tokens) {
      of(id).tokens += tokens
    },
    requests: (id) => of(id).requests,
    tokens: (id) => of(id).tokens,
    took(id, what, seconds) {
      const kept = times[what].get(id) ?? []
      times[what].set(id, [...kept, { at: now(), seconds }].slice(-Math.max(1, sizeMax)))
    },
    latency(id, stream) {
      const first = stream ? recent('first', id) : []
      if (first.length > 0)
        return firstPercentile === undefined ? mean(first) : percentile(first, firstPercentile)
      const whole = recent('whole', id)
      return whole.length > 0 ? mean(whole) : undefined
    },
  }
}

const mean = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0) / all.length

function percentile(all: readonly number[], share: number): number {
  const sorted = [...all].sort((a, b) => a - b)
  const at = Math.ceil(Math.min(Math.max(share, 0), 1) * sorted.length) - 1
  return sorted[Math.max(at, 0)] ?? 0
}
