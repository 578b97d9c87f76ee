import { compact } from '../../json/json.ts'
import { decodeError } from '../anthropic/errors.ts'
import { encodeRequest as encodeMessages } from '../anthropic/request-out.ts'
import { decodeResult } from '../anthropic/response.ts'
import { decodeStream } from '../anthropic/stream.ts'
import type { ProviderWire } from '../wire.ts'

/**
 * Claude on Vertex AI: Anthropic's Messages, with the model in the path and the version in the body
 * (docs.claude.com, Claude on Vertex AI, 2026-11).
 */
export const vertexAnthropic: ProviderWire = {
  id: 'vertex-anthropic',
  framing: 'sse',
  path: ({ model }, stream) => {
    const name = encodeURIComponent(model).replaceAll('%40', '@')
    return `/models/${name}:${stream ? 'streamRawPredict' : 'rawPredict'}`
  },
  encodeRequest(request, to) {
    const { body, dropped, ...said } = encodeMessages(request, to)
    const { model: _, service_tier: tier, ...rest } = body
    // Whoever asks for a tier by name is told that there is none; `auto` asks for nothing.
    const lost = tier !== undefined && tier !== 'auto' ? ['service_tier'] : []
    const all = [...(dropped ?? []), ...lost]
    return {
      ...said,
      body: compact({ anthropic_version: 'vertex-2023-10-16', ...rest }),
      ...(all.length > 0 && { dropped: all }),
    }
  },
  // Bytes only: Vertex fetches nothing for Claude.
  takesUrl: ({ media }) => media !== 'image' && media !== 'file',
  decodeResult,
  decodeStream,
  decodeError,
}
