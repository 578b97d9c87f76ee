import { prepare } from '../call/prepare.ts'
import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, object, text } from '../json/json.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import { parseObject, stringify } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { listen } from '../wire/inbound.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { groupFor } from './admission.ts'
import { noSuchModel } from './chat.ts'
import { readControls } from './fields.ts'
import { json } from './models.ts'
import type { Visit } from './routes.ts'

/** LiteLLM's names of conversations. */
const spoken: Readonly<Record<string, Wire>> = {
  completion: wires['openai-chat'],
  acompletion: wires['openai-chat'],
  responses: wires['openai-responses'],
  aresponses: wires['openai-responses'],
  anthropic_messages: wires.anthropic,
}

/**
 * `POST /utils/transform_request`: the request a provider would be sent for this one, by the first deployment of the model.
 * Nothing is sent; credentials are covered.
 */
export async function transformRequest({ incoming, rooms, caller }: Visit): Promise<Outgoing> {
  const { jsonDepth, fields } = rooms.settings
  const body = parseObject(await incoming.body(), { ...requestBounds, maxDepth: jsonDepth })
  const type = text(body['call_type']) ?? ''
  const wire = Object.hasOwn(spoken, type) ? spoken[type] : undefined
  if (!wire)
    throw new GatewayError(
      'bad_request',
      `call_type: can be ${Object.keys(spoken).join(', ')}; other operations are not shown`,
      { param: 'call_type' },
    )
  const said = listen(toUtf8(stringify(object(body['request_body']))), wire, {}, jsonDepth)
  const controls = readControls(said, fields, { header: () => undefined })
  const group = groupFor(said.model, caller, rooms)
  const [first] = rooms.router.groups.find(group)
  if (!rooms.router.knows(group) || !first) throw noSuchModel(incoming.path, said.model)
  try {
    const to = first.forClient[wire.id] ?? first
    if (to.problem) throw to.problem
    const { body: bytes, headers } = prepare(said, to, {
      remove: controls.remove,
      dropParams: controls.dropParams,
      headers: controls.headers,
      dialectHeaders: {},
      context: {
        model: said.model,
        requestId: '',
        created: 0,
        streamUsage: false,
        choices: 1,
        said: said.field,
      },
    })
    return json({
      raw_request_api_base: said.stream ? to.url.stream : to.url.whole,
      raw_request_body: JSON.parse(utf8(bytes)),
      raw_request_headers: covered(headers, to.secrets),
      error: null,
    })
  } catch (cause) {
    const error = GatewayError.from(cause)
    if (error.kind === 'internal') throw cause
    return json({ error: error.message })
  }
}

/** A value that has a secret in it is not shown. */
const covered = (
  headers: Readonly<Record<string, string>>,
  secrets: readonly string[],
): JsonObject =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      secrets.some((one) => one !== '' && value.includes(one)) || /auth|key|token/i.test(name)
        ? '********'
        : value,
    ]),
  )
