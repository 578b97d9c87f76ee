import { named } from '../call/call.ts'
import { type OperationAnswer, operate, wayOf } from '../call/operate.ts'
import type { Ask } from '../call/prepare.ts'
import { noUsage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { type Json, type JsonObject, list } from '../json/json.ts'
import type { Caller } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Routed } from '../router/router.ts'
import { type Inbound, listen, type Said } from '../wire/inbound.ts'
import { boundaryOf } from '../wire/media/form.ts'
import type { Operation, Told } from '../wire/media/operation.ts'
import { bodyOf, openUpload } from '../wire/media/upload.ts'
import { wires } from '../wire/wires.ts'
import { admission, groupFor, mayGoOn } from './admission.ts'
import { brought, hasOwnTime, isLeft, limitsOf, noSuchModel, refusal } from './chat.ts'
import { isControl, readControls, refuseUpstreamElsewhere } from './fields.ts'
import { answerHeaders, callIdOf, costOfAnswer, forwarded } from './headers.ts'
import {
  type Begun,
  billBegun,
  count,
  type Heard,
  pricedBySize,
  usedBy,
  worstOf,
} from './operation-cost.ts'
import { atOwnPrices } from './own-price.ts'
import { openReceipt, type Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'
import { noteUnpriced, refuseUnpriced } from './unpriced.ts'
import { pricesFor } from './worst.ts'

/** One request that is not chat, door to ledger: the path of `serveChat`, for every operation alike. */
export async function serveOperation(
  incoming: Incoming,
  operation: Operation,
  rooms: Rooms,
  caller: Caller,
  path: OperationPath = {},
): Promise<Outgoing> {
  const receipt = openReceipt(rooms, operation.id, callIdOf(incoming.header('x-litellm-call-id')))
  receipt.keyId = caller.keyId
  let begun: Begun | undefined
  try {
    refuseUpstreamElsewhere(incoming.query, incoming.headerNames())
    const { said, upload } = await hear(incoming, operation, path, rooms)
    const controls = readControls(said, rooms.settings.fields, incoming)
    const model = rooms.settings.operationModels[operation.id] ?? said.model
    receipt.model = said.model
    receipt.stream = said.stream
    const meant = model === unnamed ? '' : meantBy(model, path, caller, rooms)
    const known = meant !== '' && rooms.router.knows(meant)
    // What a provider keeps for us need not belong to any model.
    const keeping = known ? undefined : path.keptBy?.(said)
    if (!known && !keeping) throw noSuchModel(incoming.path, model)
    // Kept by a provider for nobody's model: it could be any.
    if (keeping && !path.granted) rooms.access?.refuseBound(caller)
    const group = keeping?.group ?? meant
    if (model === unnamed) receipt.model = group
    const worst = await worstOf(operation, { said, upload }, incoming, group, rooms)
    const admitted = admission(incoming, said, controls, group, caller, receipt, rooms, worst)
    if (admitted) await admitted
    if (path.before) await path.before(said)

    const ask: Ask = {
      remove: controls.remove.filter((key) => !operation.keeps?.includes(key)),
      dropParams: controls.dropParams,
      headers: forwarded(incoming, group, rooms.settings, controls.headers),
      dialectHeaders: {},
      context: {
        model: said.model,
        requestId: receipt.requestId,
        created: Math.floor(receipt.startedAt / 1000),
        streamUsage: false,
        choices: 1,
      },
    }
    const ownTime = hasOwnTime(controls)
    // What is passed on as it comes can be sent once.
    const once = upload?.complete === false
    const check = (name: string): void => {
      if (isControl(name) || path.late?.(name)) throw tooLate(name)
    }
    const speak = (to: Deployment): Promise<OperationAnswer> => {
      const way = wayOf(to, operation)
      const now = {
        said,
        upload,
        to: atOwnPrices(to, controls),
        times: (begun?.times ?? 0) + 1,
        ownTime,
      }
      begun = now
      return operate(
        operation,
        way,
        { said, upload, context: { ...ask.context, owner: path.owner ?? caller.keyId }, check },
        brought(to, controls, rooms),
        ask,
        rooms.calls,
        { signal: incoming.signal, limits: limitsOf(said, controls, to, rooms) },
      ).catch((cause: unknown) => {
        // What a provider refuses it does not bill.
        if (!isLeft(GatewayError.from(cause))) now.times--
        throw cause
      })
    }
    const attempt = (to: Deployment): Promise<OperationAnswer> => {
      const paid = atOwnPrices(to, controls)
      refuseUnpriced(paid, rooms)
      const covered = receipt.pass?.cover(to.group, pricesFor(paid, said))
      return covered ? covered.then(() => speak(to)) : speak(to)
    }
    const routed = keeping
      ? await asked(keeping, attempt)
      : await rooms.router.route<OperationAnswer>({
          model: group,
          ...(rooms.access && { mayUse: (name) => mayGoOn(name, caller, receipt, rooms) }),
          tags: controls.tags,
          failFirst: controls.failFirst,
          retries: once ? 0 : controls.retries,
          fallbacks: controls.fallbacks,
          contextWindowFallbacks: controls.contextWindowFallbacks,
          contentPolicyFallbacks: controls.contentPolicyFallbacks,
          disableFallbacks: once || path.alone === true || controls.disableFallbacks,
          signal: incoming.signal,
          ownTimeout: ownTime,
          attempt,
        })
    const { deployment, retries, fallbacks, release } = routed
    receipt.measured = routed.measured
    const paid = atOwnPrices(deployment, controls)
    receipt.deployment = await pricedBySize(paid, routed.answer.told, said, rooms)
    receipt.group = deployment.group
    receipt.retries = retries
    receipt.fallbacks = fallbacks
    const answer = path.heard ? await path.heard(routed.answer, receipt) : routed.answer
    if (answer.told.type === 'live')
      return await live(answer, answer.told, operation, { said, upload }, receipt, rooms, release)
    release(undefined)
    return await whole(answer, answer.told, operation, said, receipt, rooms)
  } catch (cause) {
    const error = receipt.failed(cause)
    if (begun) await billBegun(error, begun, operation, receipt, rooms)
    receipt.settle()
    if (error.kind === 'internal')
      rooms.log('error', 'a request failed inside the gateway', {
        cause: error.cause,
        requestId: receipt.requestId,
      })
    return refusal(error, operation.dialect, receipt.requestId, rooms)
  }
}

export type OperationPath = Said & {
  /** Who is asked where no model is named. */
  keptBy?: (said: Inbound) => Deployment | undefined
  /** `model` is who keeps the thing: nobody else has it. */
  alone?: boolean
  /** The model whose right counts, where `model` is the deployment that keeps something made by that name. */
  through?: string
  /** The operator has chosen what is asked: no right to a model counts. */
  granted?: true
  /** Whose what is kept for a client is, where that is not the caller's key. */
  owner?: string
  /** Asked once it is let in, before anything is sent; throws. */
  before?: (said: Inbound) => Promise<void>
  /** May a field of this name not come behind a large file? */
  late?: (name: string) => boolean
  /** Told of an answer before it is sent; answers what is sent. */
  heard?: (answer: OperationAnswer, receipt: Receipt) => Promise<OperationAnswer>
}

function meantBy(
  model: string,
  { through, granted }: OperationPath,
  caller: Caller,
  rooms: Rooms,
): string {
  if (granted) return rooms.router.groups.nameOf(model)
  if (through === undefined) return groupFor(model, caller, rooms)
  rooms.access?.refuse(caller, through, through)
  return rooms.router.groups.nameOf(model)
}

async function asked(
  deployment: Deployment,
  attempt: (to: Deployment) => Promise<OperationAnswer>,
): Promise<Routed<OperationAnswer>> {
  const answer = await attempt(deployment)
  return { answer, deployment, retries: 0, fallbacks: 0, release: () => {} }
}

/** Where nobody names a model, and nobody need. */
export const unnamed = '(none)'

/** The body, or the beginning of a form. The header `x-litellm-model` names the model where a form does it too late, or not at all. */
async function hear(
  incoming: Incoming,
  operation: Operation,
  path: OperationPath,
  { settings }: Rooms,
): Promise<Heard> {
  // Whose model nobody names is the provider's to keep.
  const otherwise = path.otherwise ?? (path.keptBy ? unnamed : undefined)
  if (operation.bare) {
    const said = heardOf({}, path.model ?? otherwise ?? unnamed, operation, path)
    return { said, upload: undefined }
  }
  const boundary = operation.form ? boundaryOf(incoming.header('content-type')) : undefined
  const wire = operation.dialect
  if (boundary === undefined) {
    if (operation.form && !operation.keeps && !/json/i.test(incoming.header('content-type') ?? ''))
      throw new GatewayError('bad_request', 'send the body as multipart/form-data', {
        status: 415,
        type: 'invalid_request_error',
      })
    const bytes = await incoming.body()
    if (bytes.length === 0 && path.keptBy)
      return { said: heardOf({}, path.model ?? unnamed, operation, path), upload: undefined }
    const asked = textual(path.model)
      ? path
      : { ...path, ...(otherwise !== undefined && { otherwise }) }
    return { said: listen(bytes, wire, asked, settings.jsonDepth), upload: undefined }
  }
  const header = incoming.header('x-litellm-model')
  const known = path.model ?? header ?? otherwise
  const upload = await openUpload(incoming.stream(), boundary, known !== undefined)
  const body = bodyOf(upload)
  const first = list(body['target_model_names'])[0] ?? body['target_model_names']
  const model =
    path.model ?? textual(body['model']) ?? (path.keptBy && textual(first)?.split(',')[0]) ?? known
  if (model === undefined)
    throw new GatewayError('bad_request', "Missing required parameter: 'model'.", {
      param: 'model',
      type: 'invalid_request_error',
    })
  const said = heardOf(body, model, operation, path)
  return { upload, said: { ...said, json: () => ({ ...bodyOf(upload), model }) } }
}

const textual = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

/** A body that was no JSON, as one that was. */
export function heardOf(
  body: JsonObject,
  model: string,
  { dialect }: Pick<Operation, 'dialect'> = { dialect: wires['openai-chat'] },
  { stream }: OperationPath = {},
): Inbound {
  return {
    wire: dialect,
    bytes: new Uint8Array(0),
    glance: undefined,
    model,
    stream: stream ?? /^true$/i.test(String(body['stream'] ?? '')),
    keys: () => Object.keys(body),
    has: (key) => Object.hasOwn(body, key),
    field: (key) => (Object.hasOwn(body, key) ? body[key] : undefined),
    json: () => ({ ...body, model }),
    request: () => {
      throw new GatewayError('internal', 'this is no conversation')
    },
  }
}

/** A field of the gateway's own that comes behind a large file cannot be heeded any more, nor kept from the provider unsaid. */
const tooLate = (name: string): GatewayError =>
  new GatewayError(
    'bad_request',
    `the field '${name}' is for the gateway: put it before the file`,
    { param: name, type: 'invalid_request_error' },
  )

async function whole(
  answer: OperationAnswer,
  told: Extract<Told, { type: 'whole' }>,
  operation: Operation,
  said: Inbound,
  receipt: Receipt,
  rooms: Rooms,
): Promise<Outgoing> {
  const counted = told.usage ? undefined : await count(operation, said, answer.deployment, rooms)
  receipt.usage = told.usage ?? counted ?? noUsage
  receipt.units = told.units
  noteUnpriced(receipt, rooms)
  const headers = answerHeaders(answer, receipt)
  headers['content-type'] = told.mime
  headers['x-litellm-response-cost'] = costOfAnswer(receipt)
  const out = told.encode(counted)
  const written = receipt.settle()
  if (written) await written
  if (out instanceof Uint8Array) return { status: 200, headers, body: out }
  return { status: 200, headers, body: out.body, encoding: out.encoding }
}

/**
 * Bytes that pass. By hand, as a streamed chat is: a body that is left before its first step must settle too.
 */
async function live(
  answer: OperationAnswer,
  told: Extract<Told, { type: 'live' }>,
  operation: Operation,
  { said, upload }: Heard,
  receipt: Receipt,
  rooms: Rooms,
  release: (error: GatewayError | undefined) => void,
): Promise<Outgoing> {
  receipt.firstByteAt = rooms.now()
  receipt.units = told.units
  receipt.usage = told.usage ?? (await count(operation, said, answer.deployment, rooms)) ?? noUsage
  const headers = answerHeaders(answer, receipt)
  headers['content-type'] = told.mime
  if (!told.tap) headers['x-litellm-response-cost'] = costOfAnswer(receipt)
  if (told.mime.startsWith('text/event-stream')) {
    headers['cache-control'] = 'no-cache'
    headers['x-accel-buffering'] = 'no'
  }
  const source = told.body[Symbol.asyncIterator]()
  // Asked now, while there is time to count: an end that tells nothing has used this much.
  const begun =
    told.tap && !told.usage && !told.units
      ? await usedBy({ said, upload, to: answer.deployment }, operation, rooms)
      : undefined
  let closed = false
  const settle = (cause: unknown): Promise<void> | undefined => {
    if (closed) return undefined
    closed = true
    let written: Promise<void> | undefined
    release(cause === undefined ? undefined : receipt.failed(cause))
    try {
      const { usage, units } = told.tap?.end() ?? {}
      if (cause !== undefined && begun && !usage && !units) {
        receipt.usage = begun.usage
        receipt.units = begun.units
        receipt.deployment = begun.deployment
      }
      receipt.usage = usage ?? receipt.usage
      receipt.units = units ?? receipt.units
      noteUnpriced(receipt, rooms)
    } finally {
      written = receipt.settle()
    }
    return written
  }
  const body: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (closed) return { done: true, value: undefined }
        try {
          const step = await source.next()
          if (step.done) {
            await settle(undefined)
            return { done: true, value: undefined }
          }
          told.tap?.push(step.value)
          return { done: false, value: step.value }
        } catch (cause) {
          const error = named(cause, answer.deployment)
          settle(error)
          throw error
        }
      },
      async return() {
        settle(new GatewayError('canceled', 'the client has gone'))
        await source.return?.()
        return { done: true, value: undefined }
      },
    }),
  }
  return { status: 200, headers, body }
}
