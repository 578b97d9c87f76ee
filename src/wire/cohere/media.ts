import type { MediaPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { utf8 } from '../../json/latin1.ts'
import type { Target } from '../wire.ts'

/** The words of a file that is text; undefined for any other. */
export function textOfFile({ media, source }: MediaPart): string | undefined {
  if (media !== 'file' || source.type !== 'bytes' || !isText(source.mime)) return undefined
  let binary: string
  try {
    binary = atob(source.base64)
  } catch (cause) {
    throw new GatewayError('bad_request', 'the data of a text file is not valid base64', { cause })
  }
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at)
  return utf8(bytes)
}

const isText = (mime: string): boolean =>
  /^(text\/|application\/(json|xml|yaml|x-yaml|javascript)\b)/i.test(mime)

/** Pictures go by address; a file goes by its words, so somebody has to read it. Of another type it is refused anyway. */
export const takesUrl = ({ media, source }: MediaPart): boolean =>
  media !== 'file' || (source.mime !== undefined && !isText(source.mime))

/** A picture, a recording or a document the provider cannot look at: an answer without it would be about something else. */
export function refuseMedia(part: MediaPart, to: Target, takes: string, dropped: string[]): void {
  if (!to.dropParams)
    throw new GatewayError(
      'bad_request',
      `${to.provider} does not take ${part.source.mime ?? part.media} here: send ${takes}, or set drop_params to have it left out`,
      { param: 'messages' },
    )
  dropped.push(`messages.${part.media}`)
}
