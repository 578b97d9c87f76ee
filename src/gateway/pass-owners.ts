import type { Reply } from '../call/transport.ts'
import type { Incoming } from '../http/http.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import { latin1, toUtf8, utf8 } from '../json/latin1.ts'
import { parseObject } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import type { Caller } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import { mentions, namedIn } from '../wire/named.ts'
import { isNaming, type Owners, ownersFor } from './owners.ts'
import type { Rooms } from './rooms.ts'

/** What of a provider's own API is somebody's: asked before it passes, and told of the answer. */
export type PassedThings = {
  /** The answer, with others' things left out of a list; what was made is noted before the client knows of it. */
  heard(reply: Reply): Promise<Reply>
}

/** Collections of things that a provider keeps, by the step of the path that names them. */
const collections =
  /^(?:files|batches|vector_stores|videos|containers|assistants|threads|uploads|jobs|evals|cachedContents|fileSearchStores|interactions)$/
/** An answer that is read to learn what it made, or whose. */
const answerMax = 16 * 1024 * 1024
/**
 * Google's uploads end at an address of Google's own, so that their names are never heard here: what nobody is known to
 * have made is anybody's who knows its name. Its lists show what is known to be the caller's.
 */
const unheard: ReadonlySet<string> = new Set(['gemini', 'vertex_ai'])

/** Undefined: the request is for nothing of the kind, or its caller sees everything. Throws 404 for another's. */
export async function passedThings(
  incoming: Incoming,
  to: Deployment,
  caller: Caller,
  rooms: Rooms,
): Promise<PassedThings | undefined> {
  const owners = ownersFor(caller, rooms)
  const found = thingIn(incoming.path)
  if (!owners) return undefined
  const at = { keeper: to.id, lenient: unheard.has(to.provider) }
  const looks = incoming.method === 'GET' || incoming.method === 'HEAD'
  if (!found) {
    if (!looks) await checkConversation(incoming, owners, at, rooms)
    return undefined
  }
  const { id } = found
  const row = id === undefined ? undefined : await owners.open(id, !looks, at)
  if (!looks && /json/i.test(incoming.header('content-type') ?? '')) {
    const body = await incoming.body()
    // Few of them name anything.
    if (namesAny(body)) await owners.check(parsed(body, rooms), at)
  }
  const lists = looks && id === undefined && !owners.all
  const makes = !looks && incoming.method !== 'DELETE'
  if (!lists && !makes && !(incoming.method === 'DELETE' && row)) return undefined
  return {
    async heard(reply) {
      if (reply.status >= 400 || !/json/i.test(reply.header('content-type') ?? '')) return reply
      if (incoming.method === 'DELETE') {
        if (row && found.whole) await owners.forget(row).catch(() => {})
        return reply
      }
      const bytes = await reply.bytes(answerMax)
      const body = parsed(bytes, rooms)
      if (lists) return withBody(reply, await ownIn(body, owners, at.keeper, bytes))
      const made = namesOf(body, id === undefined)
      if (made.length > 0)
        await owners
          .note(
            made.map((one) => ({ id: one, like: row })),
            { keeper: at.keeper, model: '' },
          )
          .catch((cause: unknown) =>
            rooms.log('error', 'something was made that only administrators will find again', {
              cause,
            }),
          )
      return withBody(reply, bytes)
    },
  }
}

/** What is handed to a model is looked at as in conversations of the gateway's own. */
async function checkConversation(
  incoming: Incoming,
  owners: Owners,
  at: { keeper: string; lenient: boolean },
  rooms: Rooms,
): Promise<void> {
  if (!/json/i.test(incoming.header('content-type') ?? '')) return
  const body = await incoming.body()
  const said = latin1(body)
  if (!mentions(said) && !said.includes('"container"')) return
  const { things, containers } = namedIn(parsed(body, rooms))
  await owners.checkIds(
    [...things].filter((one) => !one.includes('://')),
    at,
  )
  await owners.checkIds([...containers], { ...at, lenient: true })
}

/** The first thing a path names: its id, if it has one, and whether it ends there. */
function thingIn(path: string): { id: string | undefined; whole: boolean } | undefined {
  const steps = path.split('/')
  const at = steps.findIndex((step, nth) => nth > 1 && collections.test(step))
  if (at === -1) return undefined
  const said = steps[at + 1]?.replace(/:\w+$/, '')
  const none = said === undefined || said === '' || said === 'runs'
  return { id: none ? undefined : decode(said), whole: !none && steps.length === at + 2 }
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}

/** `file-abc`, or Google's `files/abc`. */
const idOf = (item: Json | undefined): string | undefined => {
  const said = object(item)
  return text(said['id']) ?? text(said['name'])?.split('/').at(-1)
}

/** What an answer says was made: itself, the file of an upload, the thread of a run. */
function namesOf(body: JsonObject, isNew: boolean): string[] {
  const file = isObject(body['file']) ? idOf(body['file']) : undefined
  const own = text(body['thread_id']) ?? idOf(body)
  const results = [body['output_file_id'], body['error_file_id'], body['result_files']].flat()
  return [isNew ? own : undefined, file, ...results].filter((id) => typeof id === 'string')
}

async function ownIn(
  body: JsonObject,
  owners: Owners,
  keeper: string,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const out: JsonObject = { ...body }
  let left = false
  for (const [name, value] of Object.entries(body)) {
    if (!Array.isArray(value)) continue
    const ids = value.map(idOf)
    const mine = await owners.mine(
      ids.filter((id) => id !== undefined),
      keeper,
    )
    const kept = value.filter((_, nth) => mine.has(ids[nth] ?? ''))
    left ||= kept.length < value.length
    out[name] = kept
  }
  return left ? toUtf8(JSON.stringify(out)) : bytes
}

const namesAny = (bytes: Uint8Array): boolean => {
  const said = utf8(bytes)
  return (
    mentions(said) ||
    [...said.matchAll(/"(\w{5,20})"\s*:/g)].some(([, name = '']) => isNaming(name))
  )
}

function parsed(bytes: Uint8Array, { settings }: Rooms): JsonObject {
  try {
    return parseObject(bytes, { ...requestBounds, maxDepth: settings.jsonDepth })
  } catch {
    // Not an object: it names nothing.
    return {}
  }
}

const withBody = (reply: Reply, bytes: Uint8Array): Reply => ({
  status: reply.status,
  header: (name) => reply.header(name),
  headers: () => reply.headers(),
  bytes: async () => bytes,
  body: {
    async *[Symbol.asyncIterator]() {
      yield bytes
    },
  },
})
