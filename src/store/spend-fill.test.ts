import { noUsage } from '../chat/chat.ts'
import type { Entry, Payer } from '../ledger/ledger.ts'
import { statementsOf, wordsOf } from '../ledger/rows.ts'
import type { Db } from './db.ts'
import { wordIds } from './words.ts'

/** An entry of which only the differences matter. */
export function entry(
  id: string,
  at: number,
  { payer, ...more }: Partial<Omit<Entry, 'payer'>> & { payer?: Partial<Payer> } = {},
): Entry {
  return {
    requestId: `call-${id}`,
    answerId: id,
    startedAt: at,
    firstByteAt: at + 40,
    endedAt: at + 100,
    operation: 'chat',
    keyId: 'k1',
    model: 'gpt',
    group: 'gpt',
    deploymentId: 'd1',
    provider: 'openai',
    upstreamModel: 'gpt-x',
    stream: false,
    usage: { ...noUsage, input: 10, output: 5 },
    nanoDollars: 1000,
    priced: true,
    retries: 0,
    fallbacks: 0,
    fault: undefined,
    status: 200,
    ...more,
    payer: { accounts: [], ...payer },
  }
}

/** Writes them as the ledger does. */
export async function fill(db: Db, entries: readonly Entry[]): Promise<void> {
  const texts = [...wordsOf(entries)]
  for (let from = 0; from < texts.length; from += 500)
    await db.query
      .insertInto('word')
      .values(texts.slice(from, from + 500).map((text) => ({ text })))
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  const ids = await wordIds(db.query, texts)
  await db.batch(statementsOf(entries, (text) => ids.get(text) ?? 0, db.dialect, true))
}
