import { number } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { stringify } from '../../json/parse.ts'
import { pick } from '../anthropic/count.ts'
import type { Count } from '../wire.ts'

/** CountTokens knows models by their own ids only, not by those of inference profiles (API_runtime_CountTokens, 2026-11). */
const urlFor =
  (operation: RegExp) =>
  (chat: string): string | undefined => {
    const counted = chat.replace(operation, '/count-tokens')
    return counted === chat ? undefined : counted.replace(profile, '/model/')
  }
const profile = /\/model\/(?:us-gov|us|eu|apac|jp|au|ca|sa|me|il|global)\./

export const converseCount: Count = {
  url: urlFor(/\/converse(?:-stream)?$/),
  encode: (body) => ({
    input: {
      converse: pick(body, ['messages', 'system', 'toolConfig', 'additionalModelRequestFields']),
    },
  }),
  decode: ({ inputTokens }) => number(inputTokens),
}

export const invokeCount: Count = {
  ...converseCount,
  url: urlFor(/\/invoke(?:-with-response-stream)?$/),
  encode: (body) => ({ input: { invokeModel: { body: base64(toUtf8(stringify(body))) } } }),
}

/** In pieces: a call with all bytes as arguments would be too many of them. */
function base64(bytes: Uint8Array): string {
  let characters = ''
  for (let at = 0; at < bytes.length; at += 8192)
    characters += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(characters)
}
