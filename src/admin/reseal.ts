import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type Json, type JsonObject } from '../json/json.ts'
import type { Sealer } from '../store/seal.ts'
import type { Store } from '../store/store.ts'
import { type DocKind, docTables } from '../store/tables.ts'
import { type AdminRoute, flag, json, readQuery, storeOf } from './route.ts'

/** What lies sealed in the database, and by which key: after the key has changed, what is sealed by a former one is sealed anew. */

type Report = {
  scanned: number
  migrated: number
  already_v2: number
  plaintext: number
  undecryptable: number
  legacy: number
}

const mark = 'sealed:'

async function report(store: Store, write: boolean): Promise<JsonObject> {
  const locations: Record<string, Report> = {}
  for (const kind of Object.keys(docTables) as DocKind[]) {
    const found = await ofKind(store, kind, write)
    if (found.scanned > 0) locations[kind] = found
  }
  const sum = (field: keyof Report) =>
    Object.values(locations).reduce((total, one) => total + one[field], 0)
  return {
    residual_legacy: sum('legacy'),
    total_undecryptable: sum('undecryptable'),
    locations,
  }
}

async function ofKind(store: Store, kind: DocKind, write: boolean): Promise<Report> {
  const { sealer } = store
  const seen: Report = {
    scanned: 0,
    migrated: 0,
    already_v2: 0,
    plaintext: 0,
    undecryptable: 0,
    legacy: 0,
  }
  const rows = await store.db.query
    // Kysely's types do not follow a table that is a parameter.
    .selectFrom(kind as 'team')
    .select('id')
    .where('data', 'like', `%"${mark}%`)
    .execute()
  for (const { id } of rows) {
    const before = seen.legacy
    const doc = await store.docs[kind].find(id)
    if (doc) resealed(doc.data, sealer, seen)
    if (!write || seen.legacy === before) continue
    // As it is now: somebody may have written it meanwhile.
    await store.write((tx) =>
      tx[kind as 'team'].update(id, (now) => {
        for (const [field, value] of Object.entries(now.data))
          now.data[field] = resealed(value, sealer)
      }),
    )
    seen.migrated += seen.legacy - before
    seen.legacy = before
  }
  return seen
}

/** The same value with everything sealed by a former key sealed by the present one. */
function resealed(value: Json | undefined, sealer: Sealer, count?: Report): Json {
  if (Array.isArray(value)) return value.map((one) => resealed(one, sealer, count))
  if (isObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, resealed(one, sealer, count)]),
    )
  if (typeof value !== 'string' || !value.startsWith(mark)) return value ?? null
  if (count) count.scanned++
  if (value.startsWith(presentOf(sealer))) {
    if (count) count.already_v2++
    return value
  }
  try {
    const text = sealer.open(value)
    if (count) count.legacy++
    return sealer.seal(text)
  } catch {
    // Sealed by a key nobody has, or never sealed at all: it stays as it is.
    if (count) count.undecryptable++
    return value
  }
}

/** `sealed:<key id>:` of the key in use. */
const presentOf = (sealer: Sealer): string => sealer.seal('').split(':', 2).join(':').concat(':')

async function migrateAll(visit: Visit): Promise<Outgoing> {
  const { dry_run } = readQuery(visit, z.looseObject({ dry_run: flag.default(false) }))
  return json({
    status: 'success',
    dry_run,
    report: await report(storeOf(visit), !dry_run),
  })
}

export const resealRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/credentials/migrate-encryption',
    permission: 'admin',
    summary: 'Seal by the present key what is sealed by a former one',
    run: migrateAll,
  },
  {
    method: 'GET',
    path: '/credentials/migrate-encryption/check',
    permission: 'admin',
    summary: 'What is still sealed by a former key',
    run: async (visit) => json({ status: 'success', report: await report(storeOf(visit), false) }),
  },
]
