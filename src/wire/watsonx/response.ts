import type { ChatResult, Finish } from '../../chat/chat.ts'
import type { JsonObject } from '../../json/json.ts'
import { decodeResult as decodeChat } from '../openai-chat/response.ts'
import { faultIn } from '../watsonx-text/response.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const fault = body.choices === undefined ? faultIn(body) : undefined
  if (fault) throw fault
  const result = decodeChat(body, notes)
  return {
    ...result,
    choices: result.choices.map((choice) => ({
      ...choice,
      finish: finishOf(choice.finish, choice.reason),
    })),
  }
}

/** watsonx stops a model that takes too long: the answer is cut, not ended (TextChatResultChoice, 2026-11). */
export const finishOf = (finish: Finish, reason: string | undefined): Finish =>
  reason === 'time_limit' ? 'length' : finish
