import type { OperationAnswer } from '../call/operate.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, text } from '../json/json.ts'
import { type Caller, isAdmin, seesAll } from '../policy/caller.ts'
import { accountOf, keyAccount } from '../store/accounts.ts'
import { type Owned, type OwnedRow, openOwned } from '../store/owned.ts'
import { bodyOfTold, jsonTold } from '../wire/media/operation.ts'
import { readKept } from '../wire/media/resource.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'

/**
 * Whose the things are that providers keep. All callers share the gateway's account at a provider, so the provider lets
 * each of them at everything; here a thing is its maker's, who is a user, or a key of nobody's, and their team's. What
 * nobody made here is an administrator's.
 */
export type Owners = {
  /** The row of what is asked for by this id, where the caller may have it. Throws 404 where it may not. */
  open(id: string, changes: boolean, at?: At): Promise<OwnedRow | undefined>
  /** Of these ids, as they are told to clients, those the caller may see, and whose they are. */
  mine(ids: readonly string[], keeper?: string): Promise<ReadonlyMap<string, OwnedRow | undefined>>
  /** Throws 404 for a body that names another's thing, 403 for one whose model the caller may not use. */
  check(body: JsonObject, at?: At): Promise<void>
  /** The same for ids alone: whatever model a thing was sent for. */
  checkIds(ids: readonly string[], at?: At): Promise<void>
  /** These were made. */
  note(things: readonly Thing[], made: Made): Promise<void>
  forget(row: OwnedRow): Promise<void>
  /** Sees everything, and so is asked nothing. */
  readonly all: boolean
}
/** `keeper`: only what is kept there counts. `lenient`: what nobody is known to have made is anybody's. */
type At = { keeper?: string; lenient?: boolean }
type Made = { keeper: string; model: string }
/** By the provider's id; with `like` it belongs to whoever that is of. */
type Thing = { id: string; like?: OwnedRow | undefined }

/** Absent without a database: then there is only one who asks. */
export function ownersFor(caller: Caller, rooms: Rooms): Owners | undefined {
  const db = rooms.books?.store.db
  return db && createOwners(caller, openOwned(db, rooms.now), rooms)
}

function createOwners(caller: Caller, owned: Owned, { access }: Rooms): Owners {
  const owner = ownerOf(caller)
  /** Without a master key this machine is its own administrator, but for what a key has made. */
  const open = caller.role === 'open'
  const isMine = (row: OwnedRow): boolean =>
    (owner !== null && row.owner === owner) ||
    (caller.teamId !== undefined && row.team_id === caller.teamId)

  /** All that an id may mean, whoever has it. */
  async function rowsOf(ids: readonly string[], at?: string): Promise<Map<string, OwnedRow[]>> {
    const rows = await owned.find([...new Set(ids.map(bareId))].filter(isKeepable))
    return new Map(
      ids.map((id) => {
        const { id: bare, keeper = at } = readKept(id) ?? { id }
        return [
          id,
          rows.filter((row) => row.id === bare && (keeper ?? row.keeper) === row.keeper),
        ] as const
      }),
    )
  }
  const fit = (rows: readonly OwnedRow[] | undefined, lenient = open): boolean =>
    rows !== undefined && (rows.some(isMine) || (lenient && rows.length === 0))

  return {
    all: seesAll(caller),
    async open(id, changes, { keeper, lenient = false } = {}) {
      const rows = (await rowsOf([id], keeper)).get(id) ?? []
      if (changes ? isAdmin(caller) : seesAll(caller)) return rows[0]
      if (!fit(rows, open || lenient)) throw notThere(id)
      return rows.find(isMine)
    },
    async mine(ids, keeper) {
      const rows = await rowsOf(ids, keeper)
      return new Map(
        ids
          .filter((id) => fit(rows.get(id)))
          .map((id) => [id, rows.get(id)?.find(isMine)] as const),
      )
    },
    async check(body, { keeper, lenient = false } = {}) {
      if (isAdmin(caller)) return
      const ids = [...namedIn(body)]
      if (ids.length === 0) return
      const rows = await rowsOf(ids, keeper)
      for (const id of ids) {
        if (!fit(rows.get(id), open || lenient)) throw notThere(id)
        const row = rows.get(id)?.find(isMine)
        // What is in a file runs on the model it was sent for.
        if (row?.model === '') access?.refuseBound(caller)
        else if (row) access?.refuse(caller, row.model, row.model)
      }
    },
    async checkIds(ids, { keeper, lenient = false } = {}) {
      if (isAdmin(caller) || ids.length === 0) return
      const rows = await rowsOf(ids, keeper)
      for (const id of ids) if (!fit(rows.get(id), open || lenient)) throw notThere(id)
    },
    async note(things, made) {
      const known = new Map(things.map((one) => [one.id, one]))
      await owned.note(
        [...known.values()]
          .filter(({ id }) => isKeepable(id))
          .map(({ id, like }) => ({
            id,
            ...made,
            key_id: like ? like.key_id : caller.keyId,
            owner: like ? like.owner : owner,
            team_id: like ? like.team_id : (caller.teamId ?? null),
          })),
      )
    },
    forget: (row) => owned.forget(row),
  }
}

/** LiteLLM's rule: the user, else the team alone, else the key, which goes on with the books of the key it replaced. */
function ownerOf({ userId, teamId, keyId, grant }: Caller): string | null {
  if (userId !== undefined) return accountOf.user(userId)
  if (teamId !== undefined) return null
  return grant ? keyAccount(grant.key) : accountOf.key(keyId)
}

const bareId = (id: string): string => readKept(id)?.id ?? id
const isKeepable = (id: string): boolean =>
  id.length <= 512 && !id.includes('\u0000') && id.isWellFormed()

const notThere = (id: string): GatewayError =>
  new GatewayError('not_found', `there is nothing of the id '${id.slice(0, 200)}'`, {
    type: 'invalid_request_error',
    param: 'id',
  })

/** Fields by which a body names something that is kept by itself. */
const naming: ReadonlySet<string> = new Set(
  `input_file_id file_id file_ids training_file validation_file vector_store_id vector_store_ids batch_id assistant_id
  thread_id container_id`.split(/\s+/),
)
/** Films and characters are named by an object with their id. */
const films: ReadonlySet<string> = new Set(['video', 'characters'])
export const isNaming = (field: string): boolean => naming.has(field)

/** As deep as a body may be; what a client keeps with a thing for itself names nothing. */
function namedIn(value: Json | undefined, found = new Set<string>()): Set<string> {
  if (Array.isArray(value)) for (const item of value) namedIn(item, found)
  else if (isObject(value))
    for (const [name, item] of Object.entries(value)) {
      if (name === 'metadata') continue
      if (films.has(name))
        for (const one of [item].flat())
          if (isObject(one) && text(one['id'])) found.add(text(one['id']) ?? '')
      if (!naming.has(name)) namedIn(item, found)
      else for (const id of [item].flat()) if (typeof id === 'string' && id !== '') found.add(id)
    }
  return found
}

export type Heard = {
  /** What the client asked, with names of parameters in it: `POST /files`. */
  asked: string
  /** Of what the path names first. */
  row: OwnedRow | undefined
  /** The next page of a list, from the same deployment, behind this id. */
  next(answer: OperationAnswer, after: string): Promise<OperationAnswer>
  /** How many the client wants. */
  limit: number
}

/** An answer is there: what it made is noted before the client knows of it, and of a list others' things are left out. */
export async function heardOfKept(
  answer: OperationAnswer,
  { model, group, requestId }: Receipt,
  { asked, row, next, limit }: Heard,
  owners: Owners,
  rooms: Rooms,
): Promise<OperationAnswer> {
  const { told, deployment } = answer
  const keeper = deployment.id
  const made: Made = { keeper, model: keeper.startsWith('provider:') ? '' : group || model }
  const note: Note = async (things) => {
    if (things.length === 0) return
    try {
      await owners.note(things, made)
    } catch (cause) {
      // It has been made: whoever asked must hear of it, and would make another one otherwise.
      rooms.log('error', 'something was made that only administrators will find again', {
        cause,
        requestId,
      })
    }
  }
  if (told.type === 'live')
    return asked === 'POST /threads/runs'
      ? { ...answer, told: { ...told, body: noting(told.body, note) } }
      : answer
  if (told.mime !== 'application/json') return answer
  if (lists.has(asked) && !owners.all)
    return { ...answer, told: jsonTold(told, await pageOf(answer, { next, limit }, owners, note)) }
  const body = bodyOfTold(told)
  const isNew = making.has(asked)
  const id = isNew ? text(body[asked === 'POST /threads/runs' ? 'thread_id' : 'id']) : undefined
  if (row && asked.startsWith('DELETE ') && asked.endsWith('/{id}'))
    await owners.forget(row).catch(() => {})
  else if (isNew || row)
    await note([...(id === undefined ? [] : [{ id: bareId(id) }]), ...resultsOf(body, row)])
  return answer
}
type Note = (things: readonly Thing[]) => Promise<void>

/** Requests whose answer is something new, with an id of its own. */
const making: ReadonlySet<string> = new Set(
  `/files|/batches|/fine_tuning/jobs|/vector_stores|/videos|/videos/{id}/remix|/videos/edits
  |/videos/extensions|/videos/characters|/containers|/assistants|/threads|/threads/runs`
    .split(/\s*\|/)
    .map((path) => `POST ${path}`),
)
const lists: ReadonlySet<string> = new Set(
  '/files|/batches|/fine_tuning/jobs|/vector_stores|/videos|/containers|/assistants'
    .split('|')
    .map((path) => `GET ${path}`),
)

/** Files that come of a thing are whose it is: results of batches and trainings, pictures in the answers of assistants. */
function resultsOf(value: Json | undefined, like: OwnedRow | undefined): Thing[] {
  if (Array.isArray(value)) return value.flatMap((item) => resultsOf(item, like))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, item]): Thing[] => {
    if (name === 'metadata') return []
    if (!results.has(name) && !made.has(name)) return resultsOf(item, like)
    const ids = results.has(name) ? [item].flat() : isObject(item) ? [item['file_id']] : []
    return ids.flatMap((id) =>
      typeof id === 'string' && id !== '' ? [{ id: bareId(id), like }] : [],
    )
  })
}
const results: ReadonlySet<string> = new Set(['output_file_id', 'error_file_id', 'result_files'])
const made: ReadonlySet<string> = new Set(['image_file', 'file_path'])

/** A list of what is the caller's, put together from as many pages of the provider's as it takes, up to a bound. */
async function pageOf(
  first: OperationAnswer,
  { next, limit }: Pick<Heard, 'next' | 'limit'>,
  owners: Owners,
  note: Note,
): Promise<JsonObject> {
  const data: Json[] = []
  const results: Thing[] = []
  let answer = first
  let body: JsonObject = {}
  let last: string | undefined
  let more = false
  for (let page = 0; page < pagesMax; page++) {
    body = answer.told.type === 'whole' ? bodyOfTold(answer.told) : {}
    const items = list(body['data'])
    const idOf = (item: Json | undefined): string | undefined =>
      isObject(item) ? text(item['id']) : undefined
    const mine = await owners.mine(items.map(idOf).filter((id) => id !== undefined))
    for (const item of items) {
      const id = idOf(item)
      if (id === undefined || !mine.has(id)) continue
      const row = mine.get(id)
      if (row) results.push(...resultsOf(item, row))
      if (data.length < limit) data.push(item)
      else more = true
    }
    const end = idOf(items.at(-1))
    last = end ?? last
    if (more || body['has_more'] !== true || end === undefined) break
    more = data.length >= limit || page === pagesMax - 1
    if (more) break
    answer = await next(answer, bareId(end))
  }
  await note(results)
  const ids = data.map((item) => (isObject(item) ? (item['id'] ?? null) : null))
  return {
    ...body,
    data,
    ...('first_id' in body && { first_id: ids[0] ?? null }),
    // Of a page without one of the caller's, where the provider goes on.
    ...('last_id' in body && { last_id: ids.at(-1) ?? (more ? (last ?? null) : null) }),
    ...('has_more' in body && { has_more: more }),
  }
}
/** Of a hundred each; whoever has nothing among them is told where to go on. */
const pagesMax = 10

/** The thread that a run begins with is named in its first events. */
async function* noting(body: AsyncIterable<Uint8Array>, note: Note): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder()
  let begun: string | undefined = ''
  for await (const chunk of body) {
    if (begun !== undefined) {
      begun += decoder.decode(chunk, { stream: true })
      const id = /"thread_id"\s*:\s*"([\w-]{1,1500})"/.exec(begun)?.[1]
      if (id !== undefined) await note([{ id: bareId(id) }])
      if (id !== undefined || begun.length > beginningMax) begun = undefined
    }
    yield chunk
  }
}
const beginningMax = 64 * 1024
