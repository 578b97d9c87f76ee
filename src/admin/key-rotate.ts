import { type Json, number, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import { durationMs } from '../store/durations.ts'
import type { Store } from '../store/store.ts'
import { newSecret, replaceKey } from './key-write.ts'
import { iso } from './route.ts'

export type RotateOptions = {
  store: Store
  /** For so long the old key goes on. */
  graceMs?: number | undefined
  /**
   * Puts the new key where its users find it: it is known nowhere else. A key whose new secret could not be handed over
   * stays as it is, and is tried again the next time.
   */
  hand(key: Handed): Promise<void>
  log(level: 'error' | 'info', message: string, more?: Record<string, unknown>): void
}

export type Handed = {
  /** The new key's. */
  id: string
  alias: string | undefined
  /** What it is called where secrets are kept: the same for all that come after one another. */
  name: string
  secret: string
}

/** While a key is handed over nobody else turns to it, in whatever process. */
const claimMs = 600_000

/** Rotates the keys whose time has come (`auto_rotate`, `rotation_interval`). Returns how many. Call it now and then. */
export async function rotateKeys({ store, graceMs, hand, log }: RotateOptions): Promise<number> {
  const rotating = await store.db.query
    .selectFrom('virtual_key')
    .select('id')
    .where('data', 'like', '%"auto_rotate":true%')
    .execute()
  const due = (await store.docs.virtual_key.many(rotating.map(({ id }) => id))).filter((key) =>
    isDue(key, store.now()),
  )
  if (due.length === 0) return 0
  let rotated = 0
  for (const { id } of due) {
    try {
      if (await rotate(id, { store, graceMs, hand })) rotated++
    } catch (cause) {
      log('error', 'a key was not rotated and stays as it is', { key: id, cause })
    }
  }
  if (rotated > 0) log('info', 'keys were rotated', { keys: rotated })
  return rotated
}

/** Claimed, handed over, and only then put in the place of the old one: nothing waits for a network within a transaction. */
async function rotate(
  id: string,
  { store, graceMs, hand }: Pick<RotateOptions, 'store' | 'graceMs' | 'hand'>,
): Promise<boolean> {
  const setTime = (at: Json | undefined) =>
    store.write((tx) =>
      tx.virtual_key.update(id, ({ data }) => {
        data['key_rotation_at'] = at ?? null
      }),
    )
  const claimed = await store.write(async (tx) => {
    const key = await tx.virtual_key.find(id)
    // Another process was here first.
    if (!key || !isDue(key, store.now())) return undefined
    await tx.virtual_key.update(id, ({ data }) => {
      data['key_rotation_at'] = iso(store.now() + claimMs)
    })
    return key
  })
  if (!claimed) return false
  const secret = newSecret()
  const { account } = claimed.columns
  const alias = claimed.uniqueName ?? undefined
  const name = alias ?? `virtual-key-${account ?? id}`
  try {
    await hand({ id: store.sealer.digest(secret), alias, name, secret })
    return await store.write(async (tx) => {
      const key = await tx.virtual_key.find(id)
      // It was deleted, or made anew by hand, meanwhile.
      if (!key) return false
      const now = store.now()
      const { sealer } = store
      const doc = await replaceKey(tx, key, { secret, graceMs, by: 'system', now, sealer })
      await tx.virtual_key.update(doc.id, ({ data }) => {
        const every = durationMs(text(data['rotation_interval']) ?? '') ?? 0
        data['rotation_count'] = (number(data['rotation_count']) ?? 0) + 1
        data['last_rotation_at'] = iso(now)
        data['key_rotation_at'] = iso(now + every)
      })
      return true
    })
  } catch (cause) {
    await setTime(claimed.data['key_rotation_at'])
    throw cause
  }
}

function isDue({ data }: Doc<'virtual_key'>, now: number): boolean {
  if (
    data['auto_rotate'] !== true ||
    durationMs(text(data['rotation_interval']) ?? '') === undefined
  )
    return false
  const at = Date.parse(text(data['key_rotation_at']) ?? '')
  return Number.isNaN(at) || at <= now
}
