import { type JsonObject, object } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import { parsedLine } from './batch-lines.ts'
import { gone } from './batch-words.ts'
import { type Cloud, type names, placeIn } from './cloud.ts'
import { type Answered, type Exchange, expected, type MediaContext } from './media.ts'
import type { OperationAsk } from './operation.ts'

/* Folders of ours in a provider's store: their names, and what lies in them. */

export type Known = OperationAsk & { cloud: Cloud; name: string; query: string }

/** Told by an id, made of whose it is and of the request that made it: nobody writes into another's. */
export function folderOf({ owner = '', requestId }: MediaContext): string {
  const plain = (said: string, sign: string) => said.replace(/[^A-Za-z0-9]/g, sign)
  return `${plain(owner, '').slice(0, 24) || 'nobody'}-${plain(requestId, '-').slice(0, 40)}`
}

/** Throws for what is no id of ours: it would lead to somewhere else in the bucket. */
export function folderIn(id: string): string {
  const [, folder] = /^file_([\w-]{3,80})$/.exec(id) ?? []
  if (folder === undefined) throw gone('File', id)
  return folder
}

/** Several things of one store; undefined for what is not there. */
export function* findAll(
  { cloud, to }: Known,
  folder: string,
  ...wanted: readonly (keyof typeof names)[]
): Exchange<(Uint8Array | undefined)[]> {
  const store = cloud.store(to)
  const answers = yield wanted.map((name) => store.find(placeIn(cloud, folder, name)))
  return wanted.map((_, at) => foundIn(expected(answers[at]), cloud))
}

export function foundIn({ status, bytes, header }: Answered, { decodeError }: Cloud) {
  if (status === 404) return undefined
  if (status >= 400) throw decodeError({ status, body: utf8(bytes), header })
  return bytes
}

export const parsed = (bytes: Uint8Array | undefined): JsonObject =>
  object(bytes && parsedLine(utf8(bytes)))

export const pageAsked = (asked: URLSearchParams): { limit: number; after: string | null } => ({
  limit: Math.min(Math.max(Math.trunc(Number(asked.get('limit') ?? 20)) || 20, 1), 100),
  after: asked.get('after'),
})
