import type { Kept, KeptAnswers } from '../gateway/kept.ts'
import { isObject, type JsonObject, number, text } from '../json/json.ts'

/** Between a worker that does not have an answer and the others; the primary passes it on. */
export type SiblingMessage =
  | { type: 'ask'; id: number; what: 'find' | 'remove'; owner: string; answer: string }
  | {
      type: 'asked'
      from: number
      of: number
      id: number
      what: string
      owner: string
      answer: string
    }
  | { type: 'tell'; to: number; of: number; id: number; kept: Kept | boolean | null }
  | { type: 'told'; of: number; id: number; kept: Kept | boolean | null }

/** Answers kept in this worker, and those that others keep: the next request of a conversation may come to any of them. */
export function createSiblings(
  own: KeptAnswers,
  send: (message: SiblingMessage) => void,
  waitMs = 1000,
): { answers: KeptAnswers; hear(message: JsonObject): void } {
  let last = 0
  const waiting = new Map<number, (of: number, kept: unknown) => void>()

  /** The first that has it says so; undefined where all have said that they have not, or somebody says nothing. */
  const ask = (what: 'find' | 'remove', owner: string, answer: string): Promise<unknown> =>
    new Promise((resolve) => {
      const id = ++last
      let heard = 0
      const end = (kept: unknown) => {
        clearTimeout(timer)
        waiting.delete(id)
        resolve(kept)
      }
      const timer = setTimeout(end, waitMs, undefined)
      waiting.set(id, (of, kept) => {
        if (isKept(kept) || kept === true) end(kept)
        else if (++heard >= of) end(undefined)
      })
      send({ type: 'ask', id, what, owner, answer })
    })

  async function reply(message: JsonObject): Promise<void> {
    const [owner, answer] = [text(message['owner']), text(message['answer'])]
    const [to, id, of] = [number(message['from']), number(message['id']), number(message['of'])]
    if (owner === undefined || answer === undefined) return
    if (to === undefined || id === undefined || of === undefined) return
    const kept =
      message['what'] === 'remove' ? await own.remove(owner, answer) : await own.find(owner, answer)
    send({ type: 'tell', to, of, id, kept: kept ?? null })
  }

  return {
    answers: {
      async find(owner, id) {
        const here = await own.find(owner, id)
        if (here) return here
        const there = await ask('find', owner, id)
        return isKept(there) ? there : undefined
      },
      save: own.save,
      async remove(owner, id) {
        if (await own.remove(owner, id)) return true
        return (await ask('remove', owner, id)) === true
      },
    },
    hear(message) {
      if (message['type'] === 'asked') void reply(message)
      else if (message['type'] === 'told')
        waiting.get(number(message['id']) ?? 0)?.(number(message['of']) ?? 0, message['kept'])
    },
  }
}

const isKept = (value: unknown): value is Kept =>
  isObject(value) && typeof value['answer'] === 'string' && typeof value['input'] === 'string'

/** In the primary: from whom, to whom of those that live. */
export function passOn(
  message: JsonObject,
  from: number,
  living: readonly number[],
  send: (to: number, message: JsonObject) => void,
): void {
  const { type, id } = message
  if (type === 'ask') {
    const others = living.filter((one) => one !== from)
    for (const to of others) send(to, { ...message, type: 'asked', from, of: others.length })
    if (others.length === 0) send(from, { type: 'told', of: 0, id, kept: null })
  } else if (type === 'tell') {
    const to = number(message['to'])
    if (to !== undefined) send(to, { ...message, type: 'told' })
  }
}
