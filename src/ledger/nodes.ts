import { sql } from 'kysely'
import type { Store } from '../store/store.ts'

/**
 * The processes that serve on one database. Each writes a new number into its row every second; whether another one lives
 * is told by that number changing, measured with one's own stopwatch. So clocks may differ, jump or stand still.
 */
export type Nodes = {
  /** Tells the others, and waits for them to have heard: until then they may believe that they are alone. */
  join(): Promise<void>
  /** Says "still here", and looks who else is. False: another process has taken this one for dead. */
  beat(): Promise<boolean>
  /** How many are alive, this one included. */
  count(): number
  others(): readonly string[]
  /** The one that has been there longest. */
  leads(): boolean
  /** It has been alive within the last seconds. */
  lives(node: string): boolean
  /** Not heard of for so long that it has stopped using its leases. */
  lapsed(): readonly string[]
  leave(): Promise<void>
}

export type NodesOptions = {
  store: Store
  host: string
  now(): number
  mono(): number
  /** Who serves has been looked at: the numbers of those who are alive, and this process's own among them. */
  onLook(alive: readonly number[], self: number): Promise<void> | void
  /** The others have heard of this process at this instant of `mono`. */
  onHeard(instant: number): void
}

export const beatMs = 1000
/** A process whose number has not changed for so long is not counted. */
const quietMs = 5000
/** And after so long its leases are free: well after it has stopped using them itself (`leaseMs` of purses.ts). */
export const lapsedMs = 60_000
/** A newcomer waits no longer than this for the others. */
const joinMs = 2500
/** Of a process seen for the first time nothing is known but what its clock says. */
const plausibleMs = 30_000
const dayMs = 86_400_000

type Watched = {
  beat: number
  /** When its number was last seen to change. */
  changedAt: number
  /** Since when it is known to be the same, with nothing missed. */
  sameSince: number
}

export async function createNodes(options: NodesOptions): Promise<Nodes> {
  const { store, host, now, mono } = options
  const { db, node } = store
  const watched = new Map<string, Watched>()
  let alive: string[] = []
  let self = 0
  let eldest = 0
  let lookedAt = mono()
  let last = 0

  /** Another number than before, whatever the clock does. */
  const nextBeat = (): number => {
    last = Math.max(now(), last + 1)
    return last
  }

  await db.query
    .insertInto('node')
    .values({
      id: node,
      host,
      started_at: now(),
      heartbeat_at: nextBeat(),
      seen: 0,
      flushed: 0,
      taken_by: null,
    })
    .execute()

  type Row = { id: string; seq: number; seen: number; heartbeat_at: number }
  const rowsQuery = () =>
    sql<Row>`select id, seq, seen, heartbeat_at from node
      where taken_by is null and heartbeat_at > ${now() - dayMs}`

  async function look(rows: readonly Row[]): Promise<void> {
    const at = mono()
    // What was missed while we did not look ourselves says nothing about the others.
    const missed = at - lookedAt > quietMs
    lookedAt = at
    const ids = new Set<string>()
    for (const { id, heartbeat_at } of rows) {
      ids.add(id)
      const beat = Number(heartbeat_at)
      const one = watched.get(id)
      if (!one) {
        const plausible = Math.abs(beat - now()) < plausibleMs
        watched.set(id, { beat, changedAt: plausible ? at : at - quietMs, sameSince: at })
      } else if (one.beat !== beat) watched.set(id, { beat, changedAt: at, sameSince: at })
      else if (missed) one.sameSince = at
    }
    for (const id of watched.keys()) if (!ids.has(id)) watched.delete(id)
    alive = [...ids].filter((id) => id !== node && lives(id))
    const own = rows.find(({ id }) => id === node)
    self = Number(own?.seq ?? self)
    const numbers = rows.filter(({ id }) => alive.includes(id)).map(({ seq }) => Number(seq))
    eldest = Math.min(self, ...numbers)
    await options.onLook([...numbers, self], self)
    const newest = Math.max(0, ...rows.map(({ seq }) => Number(seq)))
    if (own && Number(own.seen) < newest)
      await db.query.updateTable('node').set({ seen: newest }).where('id', '=', node).execute()
  }

  const lives = (id: string): boolean => {
    const one = watched.get(id)
    return one !== undefined && mono() - one.changedAt < quietMs
  }

  async function lookNow(): Promise<void> {
    await look((await rowsQuery().execute(db.query)).rows)
  }
  store.onChange((kind) => {
    if (kind === 'node') lookNow().catch(() => {})
  })

  return {
    async join() {
      await lookNow()
      if (alive.length === 0) return
      await store.announce('node', node)
      const end = mono() + joinMs
      for (;;) {
        const { rows } = await rowsQuery().execute(db.query)
        const unaware = rows.some(({ id, seen }) => id !== node && lives(id) && Number(seen) < self)
        if (!unaware || mono() > end) return
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    async beat() {
      const at = mono()
      const [said, heard] = await db.batch([
        {
          query:
            sql`update node set heartbeat_at = ${nextBeat()} where id = ${node} and taken_by is null`.compile(
              db.query,
            ),
        },
        { query: rowsQuery().compile(db.query) },
      ])
      if (said?.numAffectedRows !== 1n) return false
      options.onHeard(at)
      await look((heard?.rows ?? []) as Row[])
      return true
    },
    count: () => alive.length + 1,
    others: () => alive,
    leads: () => eldest === self,
    lives,
    lapsed: () =>
      [...watched].flatMap(([id, { sameSince }]) =>
        id !== node && mono() - sameSince >= lapsedMs ? [id] : [],
      ),
    async leave() {
      await db.query.deleteFrom('node').where('id', '=', node).execute()
    },
  }
}
