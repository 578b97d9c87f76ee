import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, text } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeStream as decodeMessages } from '../anthropic/stream.ts'
import { decodeException } from '../bedrock-converse/errors.ts'
import { modelId } from '../bedrock-converse/family.ts'
import type { Notes, StreamDecoder, Target } from '../wire.ts'

export const invokePath = ({ model }: Target, stream: boolean): string =>
  `/model/${encodeURIComponent(modelId(model))}/${stream ? 'invoke-with-response-stream' : 'invoke'}`

export const decodeStream = (notes: Notes): StreamDecoder => unwrapping(decodeMessages(notes))

/** Each event is `{"bytes": …}` around one of the model's own. */
export function unwrapping(inner: StreamDecoder): StreamDecoder {
  let over = false

  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }

  return {
    push({ event, data }) {
      if (over) return []
      if (event?.startsWith('exception:'))
        return fail(decodeException(event.slice('exception:'.length), data))
      if (data === '' || (event !== undefined && event !== 'chunk')) return []
      const said = parseOr(data)
      const bytes = isObject(said) ? text(said.bytes) : undefined
      const json = bytes === undefined ? undefined : unwrap(bytes)
      if (json === undefined)
        return fail(new GatewayError('bad_gateway', 'the upstream sent an event that is not JSON'))
      const events = inner.push({ event: undefined, data: json })
      over = events.some(({ type }) => type === 'fault')
      return events
    },
    end: () => (over ? [] : inner.end()),
  }
}

function unwrap(base64: string): string | undefined {
  try {
    const binary = atob(base64)
    const bytes = new Uint8Array(binary.length)
    for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at)
    return utf8(bytes)
  } catch {
    return undefined
  }
}
