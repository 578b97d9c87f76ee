import { type ChatResult, noUsage, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type JsonObject, text } from '../../json/json.ts'
import { decodeError, decodeException } from '../bedrock-converse/errors.ts'
import { invokePath } from '../bedrock-invoke/stream.ts'
import { cutShort } from '../openai-chat/stream.ts'
import { decodeFinish } from '../tgi/response.ts'
import type { Notes, ProviderWire } from '../wire.ts'
import { encodeRequest } from './request.ts'

/** TwelveLabs' Pegasus on Amazon Bedrock, which looks at films and which Converse does not take: InvokeModel in words of its own. */
export const bedrockPegasus: ProviderWire = {
  id: 'bedrock-pegasus',
  // What its stream looks like is not written anywhere: a client that wants one is told the whole answer as a stream.
  framing: 'sse',
  path: (to) => invokePath(to, false),
  encodeRequest,
  readsHeaders: true,
  takesUrl: ({ media, source }) =>
    media !== 'video' || (source.type === 'url' && source.url.startsWith('s3://')),
  decodeResult,
  decodeStream: () => ({
    push: () => [],
    end: () => [{ type: 'fault', error: cutShort() }],
  }),
  decodeError,
}

function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const said = text(body.message)
  const reason = text(body.finishReason)
  // An exception of AWS's has its words in a field of the same name.
  if (typeof body.__type === 'string') throw decodeException(body.__type, JSON.stringify(body))
  if (said === undefined)
    throw new GatewayError('bad_gateway', 'the upstream answered without a message')
  return {
    id: '',
    created: 0,
    model: notes.model,
    choices: [
      {
        parts: said === '' ? [] : [{ type: 'text', text: said }],
        finish: decodeFinish(reason),
        ...(reason !== undefined && { reason }),
      },
    ],
    usage: usageOf(notes),
  }
}

/** Bedrock counts for every model, in headers (API_runtime_InvokeModel, 2026-11); the body says nothing of it. */
function usageOf({ header }: Notes): Usage {
  const [input, output] = ['input', 'output'].map((way) => {
    const said = Number(header?.(`x-amzn-bedrock-${way}-token-count`) ?? Number.NaN)
    return Number.isSafeInteger(said) && said >= 0 ? said : undefined
  })
  return input === undefined || output === undefined
    ? noUsage
    : { ...noUsage, input, output, raw: { inputTokenCount: input, outputTokenCount: output } }
}
