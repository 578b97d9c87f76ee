import type { ReasoningPart } from '../../chat/chat.ts'
import { type JsonObject, list, object, text } from '../../json/json.ts'
import { isOpenAis } from '../signatures.ts'

/**
 * A reasoning item carries what its model must get back in `encrypted_content`. Clients keep that field and return it,
 * so signatures of other models travel in it too, marked: sent to OpenAI by a group of several models they would be a 400.
 */
export const foreignMark = 'throughway/'
const signatureMark = `${foreignMark}signature:`
const redactedMark = `${foreignMark}redacted:`

export function encodeEncrypted({ signature, redacted }: ReasoningPart): string | undefined {
  if (redacted !== undefined) return redactedMark + redacted
  if (signature === undefined || signature === '') return undefined
  return isOpenAis(signature) ? signature : signatureMark + signature
}

export function decodeThought(item: JsonObject): ReasoningPart {
  const id = text(item.id)
  const encrypted = text(item.encrypted_content)
  const said = thoughtText(item)
  return {
    type: 'reasoning',
    text: said,
    ...decodeEncrypted(encrypted),
    ...(id !== undefined && { id }),
  }
}

function decodeEncrypted(
  encrypted: string | undefined,
): Pick<ReasoningPart, 'signature' | 'redacted'> {
  if (encrypted === undefined || encrypted === '') return {}
  if (encrypted.startsWith(redactedMark)) return { redacted: encrypted.slice(redactedMark.length) }
  return {
    signature: encrypted.startsWith(signatureMark)
      ? encrypted.slice(signatureMark.length)
      : encrypted,
  }
}

/** OpenAI tells a summary; servers of open models tell the thoughts themselves, as content. */
function thoughtText(item: JsonObject): string {
  const parts = [...list(item.summary), ...list(item.content)]
  return parts
    .map((part) => text(object(part).text) ?? '')
    .filter((said) => said !== '')
    .join(betweenThoughts)
}
export const betweenThoughts = '\n\n'

/** As clients read it: `summary` is always a list, because some look into it without asking. */
export const thoughtItem = (
  id: string,
  said: string,
  encrypted_content: string | undefined,
): JsonObject => ({
  type: 'reasoning',
  id,
  summary: said === '' ? [] : [{ type: 'summary_text', text: said }],
  ...(encrypted_content !== undefined && { encrypted_content }),
})
