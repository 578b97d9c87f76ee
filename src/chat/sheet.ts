import { isObject, type Json } from '../json/json.ts'
import { type CountedMedia, mediaOfUrl, mediaTokens } from './media-tokens.ts'
import { type DescribedTool, toolsText } from './tools-text.ts'

/** What is to be counted for one model: texts, and the tokens that are known without a tokenizer. */
export function createSheet(model: string): Sheet {
  const texts: string[] = []
  let tokens = 0

  const say = (said: unknown): void => {
    if (typeof said === 'string' && said !== '') texts.push(said)
  }
  const media = (found: CountedMedia): void => {
    tokens += mediaTokens(found, model)
  }
  return {
    texts,
    tokens: () => tokens,
    say,
    media,
    message(role, name) {
      tokens += 3
      say(role)
      if (typeof name !== 'string') return
      say(name)
      tokens += 1
    },
    call(name, input) {
      say(name)
      say(input)
      tokens += 3
    },
    tools(tools, hasSystem) {
      if (tools.length === 0) return
      say(toolsText(tools))
      tokens += hasSystem ? 5 : 9
    },
    choice(choice) {
      if (choice === 'none') tokens += 1
      if (!isObject(choice)) return
      const name = isObject(choice.function) ? choice.function.name : choice.name
      if (typeof name !== 'string') return
      say(name)
      tokens += 7
    },
    value(value) {
      const open: Json[] = value === undefined ? [] : [value]
      for (let next = open.pop(); next !== undefined; next = open.pop()) {
        if (typeof next === 'string') {
          if (next.startsWith('data:')) media(mediaOfUrl('file', next))
          else say(next)
        } else if (Array.isArray(next)) for (const item of next) open.push(item)
        else if (isObject(next))
          for (const key in next) {
            say(key)
            tokens += 2
            open.push(next[key] ?? null)
          }
        else tokens += 1
      }
    },
    reply() {
      tokens += 3
    },
  }
}

/**
 * The numbers are those of OpenAI's cookbook (How_to_count_tokens_with_tiktoken.ipynb: 3 a message, 1 a name, 3 before
 * the reply) and, for tools, those the community measured and LiteLLM counts with.
 */
export interface Sheet {
  /** Kept apart, so that nothing is copied. */
  readonly texts: readonly string[]
  tokens(): number
  /** Takes what it is given; only text that is there counts. */
  say(said: unknown): void
  message(role: unknown, name: unknown): void
  call(name: unknown, input: unknown): void
  media(found: CountedMedia): void
  /** 9 for having any, 4 less beside a system message. */
  tools(tools: readonly DescribedTool[], hasSystem: boolean): void
  /** A tool choice as OpenAI or Anthropic spells it. */
  choice(choice: Json | undefined): void
  /** JSON nobody understands here: keys, values, and 2 a pair for its signs. Without recursion, so depth is harmless. */
  value(value: Json | undefined): void
  reply(): void
}
