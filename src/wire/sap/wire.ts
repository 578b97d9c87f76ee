import { isObject, type JsonObject, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeError, errorIn } from '../openai-chat/errors.ts'
import { decodeResult as decodeChat } from '../openai-chat/response.ts'
import { decodeStream as decodeChatStream } from '../openai-chat/stream.ts'
import { forOthers, withToolNames } from '../tool-names.ts'
import type { Notes, ProviderWire, StreamDecoder } from '../wire.ts'
import { encodeRequest } from './request.ts'

/** SAP's orchestration service: chat of every model of AI Core, in OpenAI's words within an envelope. */
export const sap: ProviderWire = withToolNames(
  {
    id: 'sap',
    framing: 'sse',
    path: () => '/v2/completion',
    encodeRequest,
    takesUrl: ({ media }) => media !== 'audio',
    decodeResult(body, notes) {
      const result = decodeChat(isObject(body.final_result) ? body.final_result : body, notes)
      const modules = modulesOf(body)
      return modules ? { ...result, extras: { ...result.extras, ...modules } } : result
    },
    decodeStream,
    decodeError,
  },
  forOthers,
)

/** Each event has a chunk of the answer as `final_result`; one without is about the service's other modules. */
function decodeStream(notes: Notes): StreamDecoder {
  const inner = decodeChatStream(notes)
  return {
    push(frame) {
      const said = parseOr(frame.data)
      if (!isObject(said)) return inner.push(frame)
      const chunk = said.final_result
      if (isObject(chunk)) return inner.push({ ...frame, data: JSON.stringify(chunk) })
      const isFault = text(said.code) !== undefined || errorIn({ choices: [], ...said })
      return isFault || Array.isArray(said.choices) ? inner.push(frame) : []
    },
    end: () => inner.end(),
  }
}

/** What filters and masks did; the prompt and the answer are told elsewhere. */
function modulesOf(body: JsonObject): JsonObject | undefined {
  const { llm: _, templating: __, ...modules } = object(body.intermediate_results)
  return Object.keys(modules).length > 0 ? { intermediate_results: modules } : undefined
}
