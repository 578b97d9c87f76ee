import type { Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { responseOfItem } from '../wire/openai-responses/envelope.ts'
import { wires } from '../wire/wires.ts'
import { type AnswerIds, createAnswerIds } from './answer-ids.ts'
import { createKeptAnswers, type Kept, type KeptAnswers } from './kept.ts'
import type { Rooms } from './rooms.ts'

/** What the gateway knows of answers it gave before, for the one dialect whose clients speak of them by an id. */
export type Memory = {
  ids: AnswerIds
  answers: KeptAnswers
  /** Answers being made in the background, by owner and id: how to stop each. */
  running: Map<string, AbortController>
  /** Answers being made in the background at a provider, by owner and id: to be settled when they are seen to be over. */
  owed: Map<string, (usage: Usage | undefined) => void>
}

export type MemoryOptions = {
  /** Ids made with the same secret are understood by every gateway that has it; absent: by this process only. */
  secret?: string | undefined
  answers?: KeptAnswers | undefined
  now: () => number
}

export const createMemory = ({
  secret = crypto.randomUUID() + crypto.randomUUID(),
  answers,
  now,
}: MemoryOptions): Memory => ({
  ids: createAnswerIds(secret),
  answers: answers ?? createKeptAnswers(now),
  running: new Map(),
  owed: new Map(),
})

/** An answer that its provider keeps. */
export type There = {
  /** Who made it. */
  deployment: Deployment
  /** The provider's id of it. */
  id: string
  /** The name the client asked for. */
  model: string
}

/** Sealed ids are told by it from a provider's own, and from those of kept answers, which have no dot. */
export const sealedMark = 'resp_tw.'

/** How an answer of this deployment is called towards its owner. */
export function sealerFor(
  { memory }: Rooms,
  owner: string,
  { id: deployment, group }: Deployment,
  model: string,
): (id: string) => string {
  // A stream tells its id three times.
  const known = new Map<string, string>()
  const named = model === group ? [] : [model]
  return (id) => {
    let sealed = known.get(id)
    if (sealed === undefined) {
      sealed = sealedMark + memory.ids.seal(owner, [deployment, id, ...named])
      known.set(id, sealed)
    }
    return sealed
  }
}

/** Undefined for an id that is not ours. Throws for one that is another's, or of a deployment that is gone. */
export function openId({ memory, router }: Rooms, owner: string, id: string): There | undefined {
  if (!id.startsWith(sealedMark)) return undefined
  const opened = memory.ids.open(owner, id.slice(sealedMark.length))
  const deployment = router.groups.all().find((one) => one.id === opened?.[0])
  const there = opened?.[1]
  if (!deployment || there === undefined) throw notFound(id)
  return { deployment, id: there, model: opened?.[2] ?? deployment.group }
}

export const notFound = (id: string, status = 404): GatewayError =>
  new GatewayError(
    status === 404 ? 'not_found' : 'bad_request',
    status === 404
      ? `Response with id '${id.slice(0, 200)}' not found.`
      : `Previous response with id '${id.slice(0, 200)}' not found.`,
    status === 404
      ? { type: 'invalid_request_error' }
      : {
          type: 'invalid_request_error',
          param: 'previous_response_id',
          code: 'previous_response_not_found',
        },
  )

/** The deployment as it speaks Responses; undefined where it does not. */
export const nativeOf = (to: Deployment): Deployment | undefined => {
  const own = to.forClient['openai-responses'] ?? to
  return own.wire === wires['openai-responses'] ? own : undefined
}

/** Items of an input, however it was written. */
export function itemsOf(input: Json | undefined): JsonObject[] {
  if (typeof input === 'string')
    return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: input }] }]
  return list(input).filter(isObject)
}

/** The conversation up to a kept answer, that answer included; undefined where a part of it is forgotten. */
export async function conversationTo(
  { answers }: Memory,
  owner: string,
  id: string,
): Promise<JsonObject[] | undefined> {
  const turns: Kept[] = []
  for (let at: string | undefined = id; at !== undefined; ) {
    const kept: Kept | undefined =
      turns.length < turnsMax ? await answers.find(owner, at) : undefined
    if (!kept) return undefined
    turns.push(kept)
    at = kept.previous
  }
  return turns
    .reverse()
    .flatMap(({ input, answer }) => [...parsedItems(input), ...outputOf(parsedAnswer(answer))])
}
const turnsMax = 1000

export const parsedItems = (input: string): JsonObject[] => list(JSON.parse(input)).filter(isObject)
export function parsedAnswer(answer: string): JsonObject {
  const parsed: unknown = JSON.parse(answer)
  return isObject(parsed) ? parsed : {}
}

/** What the model said, to be said again: ids of ours mean nothing to whoever hears it next. */
export const outputOf = (answer: JsonObject): JsonObject[] =>
  list(answer['output'])
    .filter(isObject)
    .map(({ id: _, ...item }) => item)

/** Items of kept answers by their ids, which have the answer's in them. Each is given once; undefined: not kept here. */
export function keptItems(
  { answers }: Memory,
  owner: string,
): (id: string) => Promise<JsonObject | undefined> {
  const read = new Map<string, JsonObject[]>()
  return async (id) => {
    const response = responseOfItem(id)
    if (response === undefined) return undefined
    let left = read.get(response)
    if (!left) {
      const kept = await answers.find(owner, response)
      left = list(kept && parsedAnswer(kept.answer)['output']).filter(isObject)
      read.set(response, left)
    }
    const at = left.findIndex((one) => one['id'] === id)
    const [found] = at === -1 ? [] : left.splice(at, 1)
    if (!found) return undefined
    const { id: _, ...item } = found
    return item
  }
}

/** Kept until it is asked for; the oldest gives way, paid for what it read, as it would if nobody ever asked. */
export function owe(
  { owed }: Memory,
  owner: string,
  id: string,
  settle: (usage: Usage | undefined) => void,
): void {
  owed.set(runningKey(owner, id), settle)
  const oldest = owed.size > owedMax ? owed.entries().next().value : undefined
  if (!oldest) return
  owed.delete(oldest[0])
  oldest[1](undefined)
}
const owedMax = 10_000

export const isOwed = ({ owed }: Memory, owner: string, id: string): boolean =>
  owed.has(runningKey(owner, id))

export function payOff(
  { owed }: Memory,
  owner: string,
  id: string,
  usage: Usage | undefined,
): void {
  const key = runningKey(owner, id)
  const settle = owed.get(key)
  owed.delete(key)
  settle?.(usage)
}

export const runningKey = (owner: string, id: string): string => `${owner}\0${id}`
