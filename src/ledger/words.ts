import type { Db } from '../store/db.ts'

/** Names and the numbers that stand for them in rows of spend. */
export type Words = {
  /** Learns the numbers of these, writing those that are new, and answers a lookup for them. */
  known(wanted: Iterable<string>): Promise<(word: string) => number>
}

const wordsMax = 50_000
/** An index of PostgreSQL takes 2700 bytes. */
const wordLength = 512

/**
 * A name as it can be kept: PostgreSQL's text holds no NUL, no text holds half a character, and a client may call a model
 * by a megabyte.
 */
export const fitting = (text: string): string => plain(text).slice(0, wordLength).toWellFormed()

/** The same, however long. */
export const plain = (text: string): string =>
  (text.includes('\u0000') ? text.replaceAll('\u0000', '') : text).toWellFormed()

export function createWords({ query }: Db): Words {
  let numbers = new Map<string, number>()
  return {
    async known(wanted) {
      // A batch names the same few again and again: each is looked at once.
      const asked = new Set(wanted)
      const words = [...new Set([...asked].map(fitting))].filter((word) => word !== '')
      const missing = words.filter((word) => !numbers.has(word)).sort()
      if (missing.length > 0 && numbers.size > wordsMax) {
        // What was known is asked for again; better than a table of a million walk-in customers in memory.
        numbers = new Map()
        return this.known(wanted)
      }
      for (let at = 0; at < missing.length; at += 200) {
        const some = missing.slice(at, at + 200)
        await query
          .insertInto('word')
          .values(some.map((text) => ({ text })))
          .onConflict((conflict) => conflict.column('text').doNothing())
          .execute()
        for (const { id, text } of await query
          .selectFrom('word')
          .selectAll()
          .where('text', 'in', some)
          .execute())
          numbers.set(text, Number(id))
      }
      const found = new Map(words.map((word) => [word, numbers.get(word) ?? 0]))
      for (const word of asked) if (!found.has(word)) found.set(word, found.get(fitting(word)) ?? 0)
      return (word) => found.get(word) ?? found.get(fitting(word)) ?? 0
    },
  }
}
