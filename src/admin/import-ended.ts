import { readAccounts } from '../store/accounts.ts'
import type { Store, Tx } from '../store/store.ts'
import type { DocKind } from '../store/tables.ts'
import { keyAccounts } from './key-row.ts'
import { endKeys } from './key-write.ts'

/** What lets somebody in. Other things that are gone there do no harm here. */
const letIn = ['virtual_key', 'team_member', 'organization_member'] as const

/**
 * Keys that were deleted or replaced there since they were brought over, and people who have left, go here too, unless
 * somebody changed them here. `seen`: those that are there still. Returns how many went.
 */
export async function endVanished(
  store: Store,
  source: string,
  seen: ReadonlyMap<DocKind, ReadonlySet<string>>,
): Promise<number> {
  let ended = 0
  for (const kind of letIn) {
    const there = seen.get(kind)
    // A database without a single one is rather an empty one than one that everybody has left.
    if (!there) continue
    const marks = await store.db.query
      .selectFrom('imported')
      .select(['id', 'at'])
      .where('kind', '=', kind)
      .where('source', '=', source)
      .execute()
    const gone = new Map(
      marks.filter(({ id }) => !there.has(id)).map(({ id, at }) => [id, Number(at)]),
    )
    const ids = [...gone.keys()]
    for (let at = 0; at < ids.length; at += 200)
      ended += await store.write((tx) => end(tx, store, kind, ids.slice(at, at + 200), gone))
  }
  return ended
}

async function end(
  tx: Tx,
  { now }: Store,
  kind: (typeof letIn)[number],
  ids: readonly string[],
  gone: ReadonlyMap<string, number>,
): Promise<number> {
  if (kind !== 'virtual_key') {
    const docs = await tx[kind].many(ids)
    const unchanged = docs.filter(({ id, updatedAt }) => gone.get(id) === updatedAt)
    for (const { id } of unchanged) await tx[kind].remove(id)
    return unchanged.length
  }
  const keys = (await tx.virtual_key.many(ids)).filter(
    ({ id, updatedAt }) => gone.get(id) === updatedAt,
  )
  const accounts = await readAccounts(tx.db, keyAccounts(keys))
  await endKeys(tx, keys, { by: 'litellm', now: now(), accounts })
  return keys.length
}
