import type { ChatRequest, MediaPart, Message, Part, Source } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, isObject, type JsonObject } from '../../json/json.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import { encodePrompt } from '../replicate/prompt.ts'
import { ownFields } from '../tgi/request.ts'
import type { Encoded, Target } from '../wire.ts'

/** A question about one film (model-parameters-pegasus, 2026-11). */
export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const { request, dropped, passed } = withoutLacking(asked, to, known)
  const { mediaSource: own, ...others } = ownFields(request, dropped)
  const films: MediaPart[] = []
  const messages = request.messages.map((message) => withoutFilms(message, films))
  const { prompt, system } = encodePrompt(messages, family, to, dropped)
  return {
    body: compact({
      ...others,
      ...passed,
      inputPrompt: system === '' ? prompt : `${system}\n\n${prompt}`,
      mediaSource: isObject(own) ? own : sourceOf(films),
      temperature: request.temperature,
      maxOutputTokens: request.maxTokens,
      responseFormat: encodeFormat(request, to, dropped),
    }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model },
  }
}

const known: ReadonlySet<string> = new Set(['temperature', 'response_format'])
const family = { known, limit: 'maxOutputTokens' } as const

function withoutFilms(message: Message, films: MediaPart[]): Message {
  const keep = (part: Part): Part[] => {
    if (part.type === 'tool-result') return [{ ...part, parts: part.parts.flatMap(keep) }]
    if (part.type !== 'media' || part.media !== 'video') return [part]
    films.push(part)
    return []
  }
  return { ...message, parts: message.parts.flatMap(keep) }
}

function sourceOf(films: readonly MediaPart[]): JsonObject {
  const [film, second] = films
  if (film === undefined || second !== undefined)
    throw new GatewayError(
      'bad_request',
      `messages: Pegasus answers about one video, and there ${film ? `are ${films.length}` : 'is none'}: send one as video_url, a data URL or an s3:// address`,
      { param: 'messages' },
    )
  return encodeSource(film.source)
}

function encodeSource(source: Source): JsonObject {
  if (source.type === 'bytes') return { base64String: source.base64 }
  const uri = source.type === 'url' ? source.url : source.id
  if (uri.startsWith('s3://')) return { s3Location: { uri } }
  throw new GatewayError(
    'bad_request',
    'messages: the video is neither in the request nor in S3: send it as a data URL or an s3:// address',
    { param: 'messages' },
  )
}

/** Only a schema can be asked for. */
function encodeFormat(
  { output }: ChatRequest,
  to: Target,
  dropped: string[],
): JsonObject | undefined {
  if (output?.type === 'schema') return { jsonSchema: output.schema }
  if (output?.type !== 'json') return undefined
  if (!to.dropParams) throw unsupported(to, ['response_format'])
  dropped.push('response_format')
  return undefined
}
