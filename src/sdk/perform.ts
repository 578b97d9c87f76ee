import { type OperationAnswer, operate, wayOf } from '../call/operate.ts'
import { inputTokens, noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import { isPricedBySize, sizedPrice } from '../provider/sized.ts'
import type { Operation, Told } from '../wire/media/operation.ts'
import { askOf, type Begun, begin, type Call, limitsOf, route, speak } from './complete.ts'
import { baseOf, hiddenOf, withHidden } from './hidden.ts'
import type { Room } from './room.ts'
import type { Hidden, HiddenParams } from './types.ts'
import { uploadOf } from './upload.ts'

/**
 * One call that is no conversation: an object as OpenAI's API has it, a text as `{ text }`, or sound as a `Response`
 * whose body comes as it is made.
 */
export async function perform(
  asked: Call,
  { operation, files: named }: { operation: Operation; files?: ReadonlySet<string> },
  room: Room,
): Promise<object & Hidden> {
  const { said, groupName } = asked
  const begun = begin(asked)
  const upload = named && (await uploadOf(said.body, said.files))
  const routed = await route(asked, begun, (candidate) =>
    speak(candidate, asked, begun, async (to) => {
      const ask = askOf(to, begun)
      const { context } = ask
      const answer = await operate(
        operation,
        wayOf(to, operation),
        { said: begun.inbound, upload, context, check() {} },
        to,
        ask,
        room.calls,
        { signal: begun.signal, limits: limitsOf(asked, to) },
      )
      return { answer, read: read(answer, operation, begun, room) }
    }),
  )
  const { answer, read: got } = routed.answer
  const { deployment } = answer
  const hidden = hiddenOf({
    answer,
    base: baseOf(deployment.place.base, ''),
    callId: begun.callId,
    retries: routed.retries,
    fallbacks: routed.fallbacks,
    group: groupName,
    ms: Date.now() - begun.at,
  })
  const settle = (usage: Usage, units: Told['units']): void => {
    routed.measured?.({ input: inputTokens(usage), output: outputTokens(usage) })
    hidden.response_cost = begun.cost({ usage, units }, priced(deployment, answer.told), undefined)
    hidden._response_ms = Date.now() - begun.at
  }
  if (got.type === 'live') {
    const { body, mime } = got
    const ends = (error: GatewayError | undefined): void => {
      const { usage, units } = got.tap?.end() ?? {}
      settle(usage ?? got.counted, units ?? got.units)
      routed.release(error)
    }
    return sound(body, mime, hidden, begun, deployment, { push: got.tap?.push, ends })
  }
  routed.release(undefined)
  settle(got.usage, answer.told.units)
  return withHidden(got.value, hidden)

  function priced(to: Deployment, told: Told): Deployment {
    const catalogue = isPricedBySize(to, told) ? room.runtime.catalogue() : undefined
    return catalogue ? sizedPrice(to, begun.inbound, catalogue) : to
  }
}

type Read =
  | { type: 'whole'; value: object; usage: Usage }
  | (Extract<Told, { type: 'live' }> & { counted: Usage })

/** Read while another deployment can still be asked: what passed unread may be no JSON. */
function read(
  { told, deployment }: OperationAnswer,
  operation: Operation,
  { inbound }: Begun,
  { tokens }: Room,
): Read {
  const said = operation.text(inbound)
  const counted: Usage = told.usage ?? {
    ...noUsage,
    ...(said !== '' && {
      input: tokens.countText(said, deployment.target.model),
      estimated: true,
    }),
  }
  if (told.type === 'live') return { ...told, counted }
  const out = told.encode(told.usage ? undefined : counted)
  const bytes = out instanceof Uint8Array ? out : undefined
  if (bytes && /^(audio|video|application\/octet)/.test(told.mime))
    return { ...told, type: 'live', body: once(bytes), counted }
  const body = out instanceof Uint8Array ? utf8(out) : textOf(out)
  if (!/json/i.test(told.mime)) return { type: 'whole', value: { text: body }, usage: counted }
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null) return { type: 'whole', value, usage: counted }
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'the upstream answered with something that is not JSON', {
      cause,
    })
  }
  throw new GatewayError('bad_gateway', 'the upstream answered with no JSON object')
}

const textOf = ({ body, encoding }: { body: string; encoding: 'latin1' | 'utf8' }): string =>
  encoding === 'latin1' ? utf8(bytesOf(body)) : body

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Bytes as they come. Leaving them ends the request at the provider. */
function sound(
  body: AsyncIterable<Uint8Array>,
  mime: string,
  hidden: HiddenParams,
  begun: Begun,
  deployment: Deployment,
  { push, ends }: { push?: ((chunk: Uint8Array) => void) | undefined; ends: Ends },
): Response & Hidden {
  const source = body[Symbol.asyncIterator]()
  let ended = false
  const end = (error: GatewayError | undefined): void => {
    if (ended) return
    ended = true
    ends(error)
  }
  const stream = new ReadableStream<Uint8Array>({
    async pull(to) {
      try {
        const { done, value } = await source.next()
        if (done) {
          end(undefined)
          return to.close()
        }
        push?.(value)
        to.enqueue(value)
      } catch (cause) {
        const error = GatewayError.from(cause)
        begun.blame(error, deployment)
        end(error)
        to.error(begun.errorOf(error))
      }
    },
    async cancel() {
      end(new GatewayError('canceled', 'the answer was left'))
      begun.stop()
      await source.return?.()
    },
  })
  return withHidden(new Response(stream, { headers: { 'content-type': mime } }), hidden)
}
type Ends = (error: GatewayError | undefined) => void
