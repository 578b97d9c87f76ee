import type { ChatRequest, MediaPart, Part, Source } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { abortSignalOf, type Signal } from '../http/signal.ts'
import type { ProviderWire, Target } from '../wire/wire.ts'

/**
 * Gets what a client named by its web address. Throws GatewayError `bad_request` whose text is the reason, fit to be
 * shown and without a resolved address.
 */
export type FetchMedia = (url: string, wanted: Wanted) => Promise<{ base64: string; mime: string }>
export type Wanted = {
  kind: MediaPart['media']
  /** The type the client states, if any. */
  mime: string | undefined
  signal: Signal
  /** Told of every byte; throws when the request has had enough. */
  take(bytes: number): void
}

/** What was fetched for a request, to be put in the place of the addresses. */
export type Fetched = ReadonlyMap<string, Extract<Source, { type: 'bytes' }>>

/** An address that has to be fetched, and where it stands. */
export type Errand = { part: MediaPart; url: string; field: string }

/** The addresses of a request that this wire cannot send: each once, where it is named first. */
export function errandsOf(
  request: ChatRequest,
  { takesUrl }: Pick<ProviderWire, 'takesUrl'>,
  to: Target,
): Errand[] {
  const found = new Map<string, Errand>()
  if (!takesUrl) return []
  visitMedia(request.messages, request.dialect, (part, field) => {
    if (part.source.type !== 'url' || !isWeb(part.source.url)) return
    if (!takesUrl(part, to) && !found.has(keyOf(part)))
      found.set(keyOf(part), { part, url: part.source.url, field })
  })
  return [...found.values()]
}

/** Throws `bad_request` for bytes that are none: a provider would say so in words of its own fields, or not at all. */
export function refuseMalformed(request: ChatRequest, dialect: ChatRequest['dialect']): void {
  visitMedia(request.messages, dialect, ({ media, source }, field) => {
    if (source.type !== 'bytes' || isBase64(source.base64)) return
    throw new GatewayError('bad_request', `${field}: the data of the ${media} is not base64.`, {
      param: field,
      type: 'invalid_request_error',
    })
  })
}

/** Of either alphabet, padded or not; mail programs break its lines. A sign that is none is looked for: 1 ms for a megabyte. */
function isBase64(said: string): boolean {
  const padding = /=*\s*$/.exec(said.slice(-64))?.[0].length ?? 0
  const plain = said.slice(0, said.length - padding)
  if (/[^A-Za-z0-9+/_\-\s]/.test(plain)) return false
  return plain.length % 4 !== 1 || /\s/.test(plain)
}

/** Each picture, sound, film and file, and the field a client has it in. */
function visitMedia(
  messages: ChatRequest['messages'],
  dialect: ChatRequest['dialect'],
  see: (part: MediaPart, field: string) => void,
): void {
  const visit = (parts: readonly Part[], field: string, numbered: boolean): void => {
    for (const [at, part] of parts.entries()) {
      if (part.type === 'tool-result') visit(part.parts, field, dialect === 'openai-chat')
      else if (part.type === 'media') see(part, numbered ? `${field}.content[${at}]` : field)
    }
  }
  // Only OpenAI's messages are numbered as the house's are, and an assistant's parts begin with its thoughts.
  for (const [at, { role, parts }] of messages.entries())
    if (dialect === 'openai-chat') visit(parts, `messages[${at}]`, role !== 'assistant')
    else
      visit(
        parts,
        dialect === 'gemini' ? 'contents' : dialect === 'openai-responses' ? 'input' : 'messages',
        false,
      )
}

/** Runs errands a few at a time; the first that fails ends the others. */
export async function runErrands(
  errands: readonly Errand[],
  fetch: FetchMedia,
  { signal, timeoutMs = longestMs }: ErrandOptions,
): Promise<Fetched> {
  const beyond = errands[itemsMax]
  if (beyond) throw refused(beyond, `at most ${itemsMax} addresses of a request are fetched`)
  const stop = new AbortController()
  const clock = AbortSignal.timeout(Math.min(timeoutMs || longestMs, longestMs))
  const ends = AbortSignal.any([abortSignalOf(signal), stop.signal, clock])
  const fetched = new Map<string, Extract<Source, { type: 'bytes' }>>()
  let room = bytesMax
  const take = (bytes: number): void => {
    room -= bytes
    if (room < 0) throw new GatewayError('bad_request', tooMuch)
  }
  const waiting = [...errands].reverse()
  const worker = async (): Promise<void> => {
    for (let errand = waiting.pop(); errand; errand = waiting.pop()) {
      const { part, url } = errand
      const wanted = { kind: part.media, mime: part.source.mime, signal: ends, take }
      try {
        fetched.set(keyOf(part), { type: 'bytes', ...(await fetch(url, wanted)) })
      } catch (cause) {
        stop.abort()
        waiting.length = 0
        if (signal.aborted) throw gone(signal)
        throw clock.aborted
          ? refused(errand, 'it took too long', cause)
          : refused(errand, reasonOf(cause), cause)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, errands.length) }, worker))
  return fetched
}

export type ErrandOptions = {
  signal: Signal
  /** For all of them together. */
  timeoutMs?: number | undefined
}

/** The request with bytes where addresses were. What changes is copied: the request is the client's for other deployments too. */
export function withMedia(request: ChatRequest, fetched: Fetched): ChatRequest {
  if (fetched.size === 0) return request
  const replace = (parts: Part[]): Part[] => {
    let out: Part[] | undefined
    for (const [at, part] of parts.entries()) {
      const next = replacePart(part)
      if (next !== part) (out ??= [...parts])[at] = next
    }
    return out ?? parts
  }
  const replacePart = (part: Part): Part => {
    if (part.type === 'tool-result') {
      const parts = replace(part.parts)
      return parts === part.parts ? part : { ...part, parts }
    }
    const source = part.type === 'media' ? fetched.get(keyOf(part)) : undefined
    return part.type === 'media' && source ? { ...part, source } : part
  }
  const messages = request.messages.map((message) => {
    const parts = replace(message.parts)
    return parts === message.parts ? message : { ...message, parts }
  })
  return { ...request, messages }
}

const isWeb = (url: string): boolean => /^https?:/i.test(url)

/** The same address as another kind of thing is another errand. */
const keyOf = ({ media, source }: MediaPart): string =>
  source.type === 'url' ? `${media} ${source.mime ?? ''} ${source.url}` : ''

function refused({ part, url, field }: Errand, reason: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'bad_request',
    `${field}: the ${part.media} at ${shown(url)} was not fetched: ${reason}. It can be sent as data instead: data:${part.source.mime ?? examples[part.media]};base64,…`,
    { param: field, type: 'invalid_request_error', cause },
  )
}
const examples = {
  image: 'image/png',
  audio: 'audio/wav',
  video: 'video/mp4',
  file: 'application/pdf',
} as const satisfies Record<MediaPart['media'], string>

const reasonOf = (cause: unknown): string =>
  GatewayError.is(cause) && cause.kind === 'bad_request' ? cause.message : 'it could not be read'

/** Without a query, which may hold a signature, and without a login: errors end in logs. */
function shown(text: string): string {
  if (!URL.canParse(text)) return 'an address that is not a URL'
  const { origin, pathname } = new URL(text)
  const whole = origin + pathname
  return whole.length > 200 ? `${whole.slice(0, 200)}…` : whole
}

const gone = (signal: Signal): GatewayError =>
  GatewayError.is(signal.reason)
    ? signal.reason
    : new GatewayError('canceled', 'the request was canceled', { cause: signal.reason })

const itemsMax = 20
const atOnce = 4
const bytesMax = 50 * 1024 * 1024
const longestMs = 30_000
const tooMuch = `the addresses of the request lead to more than ${bytesMax / 1024 / 1024} MiB together`
