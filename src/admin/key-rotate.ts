import { number, text } from '../json/json.ts'
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
  hand(key: { id: string; alias: string | undefined; secret: string }): Promise<void>
  log(level: 'error' | 'info', message: string, more?: Record<string, unknown>): void
}

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
      const done = await store.write(async (tx) => {
        const key = await tx.virtual_key.find(id)
        // Another process was here first.
        if (!key || !isDue(key, store.now())) return false
        const secret = newSecret()
        const now = store.now()
        const doc = await replaceKey(tx, key, {
          secret,
          graceMs,
          by: 'system',
          now,
          sealer: store.sealer,
        })
        await tx.virtual_key.update(doc.id, ({ data }) => {
          const every = durationMs(text(data['rotation_interval']) ?? '') ?? 0
          data['rotation_count'] = (number(data['rotation_count']) ?? 0) + 1
          data['last_rotation_at'] = iso(now)
          data['key_rotation_at'] = iso(now + every)
        })
        await hand({ id: doc.id, alias: doc.uniqueName ?? undefined, secret })
        return true
      })
      if (done) rotated++
    } catch (cause) {
      log('error', 'a key was not rotated and stays as it is', { key: id, cause })
    }
  }
  if (rotated > 0) log('info', 'keys were rotated', { keys: rotated })
  return rotated
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
