import { type JsonObject, list, object, text } from '../../json/json.ts'

/**
 * The events of an answer that is there already, for a client that asks for it as a stream: each thing it holds is added,
 * told in one piece and done, as if it had come in one breath. Numbered from 0.
 */
export function replayOf(response: JsonObject): JsonObject[] {
  const begun = { ...response, status: 'in_progress', output: [], usage: null, error: null }
  const events: JsonObject[] = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
  ]
  list(response['output']).forEach((item, output_index) => {
    events.push(...itemEvents(object(item), output_index))
  })
  const ending = endings.get(text(response['status']) ?? '')
  if (ending !== undefined) events.push({ type: ending, response })
  return events.map(({ type, ...event }, sequence_number) => ({
    type: type ?? null,
    sequence_number,
    ...event,
  }))
}

/** What an answer that is not over is not told with. */
const endings: ReadonlyMap<string, string> = new Map([
  ['completed', 'response.completed'],
  ['incomplete', 'response.incomplete'],
  ['failed', 'response.failed'],
  ['cancelled', 'response.cancelled'],
])

function itemEvents(item: JsonObject, output_index: number): JsonObject[] {
  const item_id = item['id'] ?? ''
  const type = text(item['type']) ?? ''
  const parts = (key: string): JsonObject[] => list(item[key]).map(object)
  const place = { item_id, output_index }
  const begun: JsonObject = {
    ...item,
    ...(item['status'] !== undefined && { status: 'in_progress' }),
  }
  const input = inputs.get(type)
  const inside: JsonObject[] =
    type === 'message'
      ? parts('content').flatMap((part, content_index) =>
          partEvents(part, { ...place, content_index }),
        )
      : type === 'reasoning'
        ? [
            ...parts('summary').flatMap((part, summary_index) =>
              summaryEvents(part, { ...place, summary_index }),
            ),
            ...parts('content').flatMap((part, content_index) =>
              partEvents(part, { ...place, content_index }),
            ),
          ]
        : input
          ? inputEvents(item, input, place)
          : []
  if (type === 'message') begun['content'] = []
  if (type === 'reasoning') {
    begun['summary'] = []
    if (item['content'] !== undefined) begun['content'] = []
  }
  if (input) begun[input.key] = ''
  return [
    { type: 'response.output_item.added', output_index, item: begun },
    ...inside,
    { type: 'response.output_item.done', output_index, item },
  ]
}

/** Words that grow inside of a part, by its type. */
const words: ReadonlyMap<string, [event: string, key: string]> = new Map([
  ['output_text', ['output_text', 'text']],
  ['refusal', ['refusal', 'refusal']],
  ['reasoning_text', ['reasoning_text', 'text']],
])

function partEvents(part: JsonObject, place: JsonObject): JsonObject[] {
  const known = words.get(text(part['type']) ?? '')
  const begun: JsonObject = { ...part }
  const inside: JsonObject[] = []
  if (known) {
    const [name, key] = known
    const said = text(part[key]) ?? ''
    const logprobs = name === 'output_text' && { logprobs: list(part['logprobs']) }
    begun[key] = ''
    if (name === 'output_text') begun['annotations'] = []
    if (said !== '')
      inside.push({ type: `response.${name}.delta`, ...place, delta: said, ...logprobs })
    list(part['annotations']).forEach((annotation, annotation_index) => {
      inside.push({
        type: 'response.output_text.annotation.added',
        ...place,
        annotation_index,
        annotation,
      })
    })
    inside.push({ type: `response.${name}.done`, ...place, [key]: said, ...logprobs })
  }
  return [
    { type: 'response.content_part.added', ...place, part: begun },
    ...inside,
    { type: 'response.content_part.done', ...place, part },
  ]
}

function summaryEvents(part: JsonObject, place: JsonObject): JsonObject[] {
  const said = text(part['text']) ?? ''
  const name = 'response.reasoning_summary'
  return [
    { type: `${name}_part.added`, ...place, part: { ...part, text: '' } },
    ...(said === '' ? [] : [{ type: `${name}_text.delta`, ...place, delta: said }]),
    { type: `${name}_text.done`, ...place, text: said },
    { type: `${name}_part.done`, ...place, part },
  ]
}

type Input = { event: string; key: string }
/** What grows inside of a call. */
const inputs: ReadonlyMap<string, Input> = new Map([
  ['function_call', { event: 'function_call_arguments', key: 'arguments' }],
  ['mcp_call', { event: 'mcp_call_arguments', key: 'arguments' }],
  ['custom_tool_call', { event: 'custom_tool_call_input', key: 'input' }],
  ['code_interpreter_call', { event: 'code_interpreter_call_code', key: 'code' }],
])

function inputEvents(item: JsonObject, { event, key }: Input, place: JsonObject): JsonObject[] {
  const said = text(item[key]) ?? ''
  return [
    ...(said === '' ? [] : [{ type: `response.${event}.delta`, ...place, delta: said }]),
    {
      type: `response.${event}.done`,
      ...place,
      ...(event === 'function_call_arguments' && { name: item['name'] ?? null }),
      [key]: said,
    },
  ]
}
