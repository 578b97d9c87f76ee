import type { Reader } from './docs.ts'

/** Numbers of words. A word nobody has written yet has none. */
export async function wordIds(
  db: Reader,
  texts: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  const wanted = [...new Set(texts)]
  for (let at = 0; at < wanted.length; at += 500)
    for (const { id, text } of await db
      .selectFrom('word')
      .selectAll()
      .where('text', 'in', wanted.slice(at, at + 500))
      .execute())
      found.set(text, Number(id))
  return found
}

export async function wordTexts(
  db: Reader,
  ids: readonly (number | null)[],
): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>()
  const wanted = [...new Set(ids.map(Number))].filter((id) => id > 0)
  for (let at = 0; at < wanted.length; at += 500)
    for (const { id, text } of await db
      .selectFrom('word')
      .selectAll()
      .where('id', 'in', wanted.slice(at, at + 500))
      .execute())
      found.set(Number(id), text)
  return found
}
