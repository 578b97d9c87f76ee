import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../src/json/json.ts'

export type Folded = { said: JsonObject; laws: string[] }

/** What a stream of chat chunks says in the end, and which laws of the format it broke. */
export function foldChat(stream: string, model: string): Folded {
  const laws: string[] = []
  const said: JsonObject = { text: '', tool_calls: [] }
  const calls: { id: string; name: string; arguments: string }[] = []
  const ids = new Set<string>()
  let ended = false
  let spoke = false
  for (const data of dataOf(stream)) {
    if (ended) laws.push('something after [DONE]')
    if (data === '[DONE]') {
      ended = true
      continue
    }
    const chunk = object(parsed(data, laws))
    if (chunk['error'] !== undefined) {
      said['error'] = chunk['error']
      continue
    }
    if (chunk['object'] !== 'chat.completion.chunk') laws.push(`object is ${chunk['object']}`)
    if (chunk['model'] !== model) laws.push(`model is ${chunk['model']}, not ${model}`)
    ids.add(text(chunk['id']) ?? '')
    if (isObject(chunk['usage'])) said['usage'] = chunk['usage']
    for (const choice of list(chunk['choices']).map(object)) {
      const delta = object(choice['delta'])
      const speaks = Boolean(delta['content']) || list(delta['tool_calls']).length > 0
      if (speaks && said['finish'] !== undefined) laws.push('something said after finish_reason')
      if (text(delta['role']) !== undefined) spoke = true
      else if (speaks && !spoke) laws.push('something said before the role')
      for (const [field, name] of spoken) {
        const more = text(delta[field])
        if (more) said[name] = (text(said[name]) ?? '') + more
      }
      for (const piece of list(delta['tool_calls']).map(object)) {
        const index = number(piece['index'])
        if (index === undefined || index > calls.length) laws.push(`a call at index ${index}`)
        const { name, arguments: input } = object(piece['function'])
        const call = (calls[index ?? 0] ??= {
          id: text(piece['id']) ?? '',
          name: '',
          arguments: '',
        })
        call.name += text(name) ?? ''
        call.arguments += text(input) ?? ''
      }
      const finish = text(choice['finish_reason'])
      if (finish !== undefined) said['finish'] = finish
    }
  }
  if (ids.size > 1 || ids.has('')) laws.push(`ids are ${[...ids].join(', ')}`)
  if (said['error'] === undefined) {
    if (!ended) laws.push('no [DONE]')
    if (said['finish'] === undefined) laws.push('no finish_reason')
  }
  said['tool_calls'] = calls.map(({ id, name, arguments: input }): Json => {
    if (id === '' || name === '') laws.push('a call without id or name')
    return { id, type: 'function', function: { name, arguments: input } }
  })
  return { said, laws: [...new Set(laws)] }
}

const spoken = [
  ['content', 'text'],
  ['reasoning_content', 'reasoning'],
] as const

/** The same of a stream of Responses' events. */
export function foldResponses(stream: string, model: string): Folded {
  const laws: string[] = []
  const said: JsonObject = { text: '', reasoning: '', types: [] }
  const types: Json[] = []
  const open = new Map<number, boolean>()
  let last = -1
  for (const data of dataOf(stream).filter((each) => each !== '[DONE]')) {
    const event = object(parsed(data, laws))
    const type = text(event['type']) ?? ''
    if (type === 'error') {
      said['error'] = event['error'] ?? event
      continue
    }
    if (said['status'] !== undefined) laws.push(`${type} after the end`)
    types.push(type)
    const at = number(event['sequence_number']) ?? -1
    if (at <= last) laws.push('sequence_number does not rise')
    last = at
    const { output_index: index, delta, response } = event
    if (isObject(response) && response['model'] !== model)
      laws.push(`model is ${response['model']}, not ${model}`)
    if (type === 'response.output_item.added') open.set(number(index) ?? -1, true)
    else if (typeof index === 'number' && !open.has(index)) laws.push(`${type} before its item`)
    if (type === 'response.output_item.done') open.set(number(index) ?? -1, false)
    if (type === 'response.output_text.delta') said['text'] += `${delta}`
    if (/^response\.reasoning(_summary)?_text\.delta$/.test(type)) said['reasoning'] += `${delta}`
    if (/^response\.(completed|incomplete|failed)$/.test(type)) {
      const { status, output, usage } = object(response)
      Object.assign(said, { status, output, usage })
    }
  }
  if (types[0] !== 'response.created') laws.push(`begins with ${types[0]}`)
  if (said['error'] === undefined) {
    if (said['status'] === undefined) laws.push('no end')
    if ([...open.values()].some(Boolean)) laws.push('an item is never done')
  }
  return { said: { ...said, types }, laws: [...new Set(laws)] }
}

const dataOf = (stream: string): string[] =>
  stream
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trim())

function parsed(data: string, laws: string[]): Json {
  try {
    return JSON.parse(data)
  } catch {
    laws.push(`not JSON: ${data.slice(0, 80)}`)
    return null
  }
}
