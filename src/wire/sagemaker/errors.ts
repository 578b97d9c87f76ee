import type { GatewayError } from '../../errors.ts'
import { isObject, number, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import { decodeError as decodeAny } from '../openai-chat/errors.ts'
import type { ErrorAnswer } from '../wire.ts'

/**
 * What the container refused is told inside SageMaker's own 424, with the status it had (API_runtime_InvokeEndpoint,
 * ModelError, 2026-11); everything else is AWS's.
 */
export function decodeError(answer: ErrorAnswer): GatewayError {
  const said = parseOr(answer.body)
  const status = isObject(said) ? number(said.OriginalStatusCode) : undefined
  if (!isObject(said) || status === undefined || status < 400 || status > 599)
    return decodeAws(answer)
  const body = text(said.OriginalMessage) || text(said.Message) || ''
  return decodeAny({ ...answer, status, body })
}
