import { GatewayError } from '../errors.ts'
import { abortSignalOf, type Signal } from '../http/signal.ts'
import type { JsonObject } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { stringify } from '../json/parse.ts'
import { patch } from '../json/patch.ts'
import { type Deployment, join } from '../provider/deployment.ts'
import { mediaWireOf, whyNot } from '../provider/operations.ts'
import { sentSecrets } from '../provider/secrets.ts'
import { hide } from '../wire/hide.ts'
import type { Inbound } from '../wire/inbound.ts'
import type { Answered, Exchange, MediaContext, Sent, SentBody } from '../wire/media/media.ts'
import type { Operation, Told } from '../wire/media/operation.ts'
import { encodeForm, type FormEdits, type Upload } from '../wire/media/upload.ts'
import type { Target } from '../wire/wire.ts'
import { type CallDeps, named, refusalOf } from './call.ts'
import { type Ask, apply, editsOf, raw, removePath, withHeaders } from './prepare.ts'
import { headersBack } from './scrub.ts'
import type { Limits, Reply } from './transport.ts'

/** What a client asked of an operation: a body of JSON, or a form. */
export type OperationSaid = {
  said: Inbound
  upload: Upload | undefined
  context: MediaContext
  /** A field of a form that may not be there; throws. */
  check(name: string): void
}

export type OperationAnswer = {
  deployment: Deployment
  headers: Record<string, string>
  dropped: readonly string[]
  told: Told
}

/** How this deployment speaks an operation. Throws where its provider does not offer it. */
export function wayOf({ spec, provider }: Deployment, operation: Operation): string {
  const wire = mediaWireOf(spec, operation.id)
  if (wire !== undefined && operation.knows(wire)) return wire
  const offers = `${spec.name} does not offer ${operation.id.replaceAll('_', ' ')} here`
  const why = whyNot(provider, operation.id)
  throw new GatewayError(
    'not_offered',
    why === undefined ? `${offers}; docs/providers.md says who does` : `${offers}: ${why}`,
    { param: 'model' },
  )
}

/** Speaks to one deployment about one operation. Throws GatewayError. */
export async function operate(
  operation: Operation,
  wire: string,
  { said, upload, context, check }: OperationSaid,
  to: Deployment,
  ask: Ask,
  deps: CallDeps,
  { signal, limits }: { signal: Signal; limits: Limits },
): Promise<OperationAnswer> {
  if (to.problem) throw to.problem
  if (to.mock)
    throw new GatewayError(
      'not_offered',
      `the mock answers chat only: take mock_response out of the row to ask ${to.spec.name}`,
    )
  if (upload && operation.reads(wire)) await upload.hold(readBytes)
  const { target: asked } = to.place
  const target: Target =
    ask.dropParams && !asked.dropParams ? { ...asked, dropParams: true } : asked
  const dropped: string[] = []
  const lacks = (...fields: string[]): void => {
    const left = fields.filter((field) => !target.allowedParams?.includes(field))
    if (left.length === 0) return
    if (!target.dropParams) throw unsupported(left, to)
    dropped.push(...left)
  }
  // Before the try: what is wrong with the request is no error of the provider's.
  const edits = editsOf(said, to, ask, false)
  const json = (): JsonObject => {
    const body = said.json()
    apply(body, edits)
    for (const path of to.dropPaths) removePath(body, path)
    return body
  }
  const line: Line = { to, deps, ask, limits, signal, decodeError: to.wire.decodeError, at: to }
  try {
    const { exchange, decodeError } = operation.start({
      wire,
      to: target,
      asked: said,
      json,
      bytes: () =>
        said.glance && to.dropPaths.length === 0
          ? patch(said.glance, raw(edits))
          : toUtf8(stringify(json())),
      upload,
      form: (tap, instead) => formOf(upload, edits, check, tap, instead),
      plain: () => {
        const body = said.json()
        for (const key of ask.remove) delete body[key]
        return body
      },
      keeper: to.id,
      stream: said.stream,
      context,
      lacks,
    })
    line.decodeError = decodeError
    const told = await converse(exchange, line)
    return {
      deployment: line.at,
      dropped,
      headers: line.last ? headersBack(line.last, line.at.secrets) : {},
      told: shielded(told, to.credentials),
    }
  } catch (cause) {
    throw named(cause, line.at)
  }
}

/** What is held of a form whose files are put into a provider's own words. */
const readBytes = 64 * 1024 * 1024

const unsupported = (fields: readonly string[], { provider, target }: Deployment): GatewayError =>
  new GatewayError(
    'unsupported_params',
    `${provider} does not support parameters: ${fields.join(', ')}, for model=${target.model}. To drop these, set drop_params: true in litellm_settings or in the request.`,
    { param: fields[0], type: 'invalid_request_error' },
  )

function formOf(
  upload: Upload | undefined,
  edits: ReturnType<typeof editsOf>,
  check: (name: string) => void,
  tap: ((bytes: Uint8Array) => void) | undefined,
  instead: Pick<FormEdits, 'set' | 'remove' | 'rewrite'> | undefined,
): SentBody {
  if (!upload) throw new GatewayError('internal', 'a form was expected')
  const written = (values: JsonObject): Record<string, string> =>
    Object.fromEntries(
      Object.entries(values).flatMap(([key, value]) =>
        value === undefined || value === null
          ? []
          : [[key, typeof value === 'string' ? value : JSON.stringify(value)]],
      ),
    )
  return upload.encode({
    set: written(edits.set),
    remove: new Set(edits.remove),
    append: instead ? {} : written(edits.append),
    check,
    tap,
    ...instead,
  })
}

/** One conversation with one deployment. */
type Line = {
  to: Deployment
  deps: CallDeps
  ask: Ask
  limits: Limits
  signal: Signal
  decodeError: Deployment['wire']['decodeError']
  /** The deployment with the secrets that were fetched on the way. */
  at: Deployment
  last?: Reply
}

async function converse(exchange: Exchange<Told>, line: Line): Promise<Told> {
  const stop = new AbortController()
  const signal = AbortSignal.any([abortSignalOf(line.signal), stop.signal])
  let ended = false
  try {
    let step = exchange.next([])
    while (!step.done) step = exchange.next(await sendAll(step.value, { ...line, signal }, line))
    ended = true
    return step.value
  } finally {
    if (!ended) stop.abort(new GatewayError('canceled', 'another part of the request failed'))
  }
}

/** A few at a time; in order. */
async function sendAll(all: readonly Sent[], line: Line, whole: Line): Promise<Answered[]> {
  const answers: Answered[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) {
      const sent = all[at]
      if (sent) answers[at] = await send(sent, line, whole)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker))
  return answers
}
const atOnce = 8

async function send(sent: Sent, line: Line, whole: Line): Promise<Answered> {
  const { to, deps, ask, signal, limits } = line
  if (sent.shelf) return onShelf(sent.shelf, deps)
  if (sent.rest) {
    await pause(0, signal)
    return { status: 200, header: () => undefined, bytes: new Uint8Array(0), live: undefined }
  }
  if (sent.afterMs) await pause(sent.afterMs, signal)
  const { method = 'POST', body } = sent
  const place = addressOf(sent, to)
  const url = to.locate ? await to.locate(place) : place
  const { 'content-type': _, ...mine } = sent.open ? {} : { ...ask.headers, ...to.headers }
  const { bytes, mime } = written(body)
  const headers = withHeaders(
    { ...mine, ...(mime !== undefined && { 'content-type': mime }) },
    sent.headers,
  )
  if (to.authorize && !sent.open) {
    const signing = to.authorize({
      method,
      url,
      headers,
      body: bytes instanceof Uint8Array ? bytes : new Uint8Array(0),
      ...(sent.service !== undefined && { service: sent.service }),
      ...(sent.region !== undefined && { region: sent.region }),
    })
    if (signing) await signing
    whole.at = { ...to, secrets: [...to.secrets, ...sentSecrets(headers)] }
  }
  const reply = await deps.transport({
    method,
    url,
    headers,
    ...(bytes !== undefined && { body: bytes }),
    signal,
    limits,
    connection: to.connection,
  })
  whole.last = reply
  if ((reply.status >= 400 && !sent.refusals) || reply.status < 200)
    throw await refusalOf(reply, whole.at, whole.decodeError)
  return {
    status: reply.status,
    header: (name) => reply.header(name),
    bytes: sent.live ? new Uint8Array(0) : await reply.bytes(deps.maxAnswerBytes),
    live: sent.live ? reply.body : undefined,
  }
}

async function onShelf(said: NonNullable<Sent['shelf']>, { shelf }: CallDeps): Promise<Answered> {
  if (!shelf) throw new GatewayError('not_offered', 'nothing can be kept here for this provider')
  let found: string | undefined
  if ('save' in said) await shelf.save(said.save, (found = said.text))
  else if ('find' in said) found = await shelf.find(said.find)
  else if ('names' in said) found = JSON.stringify((await shelf.names(said.names)).sort())
  else found = (await shelf.remove(said.remove)) ? '' : undefined
  return {
    status: found === undefined ? 404 : 200,
    header: () => undefined,
    bytes: 'find' in said || 'names' in said ? toUtf8(found ?? '') : new Uint8Array(0),
    live: undefined,
  }
}

function written(body: SentBody | undefined): {
  bytes: Uint8Array | AsyncIterable<Uint8Array> | undefined
  mime: string | undefined
} {
  if (body === undefined) return { bytes: undefined, mime: undefined }
  if (body.type === 'json')
    return { bytes: toUtf8(stringify(body.value)), mime: 'application/json' }
  // A boundary nobody can guess cannot stand in a file.
  return body.type === 'form'
    ? encodeForm(body.fields, body.files, `throughway-${crypto.randomUUID()}`)
    : body
}

function addressOf({ path, home, root, open, address }: Sent, { place, spec }: Deployment): string {
  if (address) return address(place.base)
  if (home !== undefined && !place.own) return join(filled(home, place.base), '', place.query)
  const base = URL.canParse(place.base) ? new URL(place.base) : undefined
  if (!path.includes('://')) {
    const below = root && base ? base.origin : place.base
    return join(below, withoutCollection(below, path), place.query)
  }
  // An address a provider told: our credential goes to the provider's own hosts only, and nothing to any other.
  const hosts = open ? spec.files : spec.hosts
  const told = URL.canParse(path) ? new URL(path) : undefined
  const named = (host: string) =>
    host.startsWith('*.') ? told?.hostname.endsWith(host.slice(1)) : open && told?.host === host
  if (told && base && told.protocol === base.protocol)
    if (told.host === base.host || hosts?.some(named)) return path
  throw new GatewayError('bad_gateway', 'the provider named an address that is not its own')
}

const filled = (home: string, base: string): string =>
  home.replace('{project}', () => /\/projects\/([^/]+)/.exec(base)?.[1] ?? '-')

/** A base may reach down to the models. */
const withoutCollection = (base: string, path: string): string =>
  path.startsWith('/models/') && /\/models\/?$/.test(base) ? path.slice('/models'.length) : path

/** A provider that repeats its request would show our credential. */
function shielded(told: Told, secrets: readonly string[]): Told {
  if (told.type === 'live' || secrets.length === 0) return told
  return {
    ...told,
    encode(counted) {
      const out = told.encode(counted)
      return out instanceof Uint8Array ? out : { ...out, body: hide(out.body, secrets) }
    },
  }
}

function pause(ms: number, signal: Signal): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = () => {
      clearTimeout(timer)
      reject(
        GatewayError.is(signal.reason)
          ? signal.reason
          : new GatewayError('canceled', 'the request was canceled', { cause: signal.reason }),
      )
    }
    if (signal.aborted) return left()
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', left)
      resolve()
    }, ms)
    signal.addEventListener('abort', left, { once: true })
  })
}
