import { isObject, type JsonObject, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import type { Target } from '../wire.ts'

export type Side = 'system' | 'user' | 'assistant' | 'tool'
/** What stands before and after the words of a side. */
export type Around = readonly [before: string, after: string]
export type Template = {
  begin: string
  sides: Readonly<Record<Side, Around>>
  /** Where the model goes on. */
  answer: string
  /** There is no side for instructions: they stand before the first question, in these. */
  fold?: Around
}

/** How the model was taught to read a conversation: the row's own words, else by its name, else plainly. */
export function templateOf({ model, values = {} }: Target): Template {
  const own = ofRow(values)
  if (own) return own
  const name = (values['hf_model_name'] ?? model).toLowerCase()
  return families.find(([match]) => match.test(name))?.[1] ?? plain
}

const plain: Template = {
  begin: '',
  sides: {
    system: ['', '\n\n'],
    user: ['User: ', '\n\n'],
    assistant: ['Assistant: ', '\n\n'],
    tool: ['Tool: ', '\n\n'],
  },
  answer: 'Assistant:',
}

const header = (role: string): Around => [
  `<|start_header_id|>${role}<|end_header_id|>\n\n`,
  '<|eot_id|>',
]
const chatMl = (role: string): Around => [`<|im_start|>${role}\n`, '<|im_end|>\n']
const granite = (role: string): Around => [
  `<|start_of_role|>${role}<|end_of_role|>`,
  '<|end_of_text|>\n',
]
const gemmaTurn = (role: string): Around => [`<start_of_turn>${role}\n`, '<end_of_turn>\n']
const barred = (role: string, end: string): Around => [`<|${role}|>\n`, `${end}\n`]

const each = (around: (role: Side) => Around): Template['sides'] => ({
  system: around('system'),
  user: around('user'),
  assistant: around('assistant'),
  tool: around('tool'),
})

const instructed = (end: string): Template['sides'] => ({
  system: ['', ''],
  user: ['[INST] ', ' [/INST]'],
  assistant: [' ', end],
  tool: ['[INST] ', ' [/INST]'],
})

/** From the models' own chat templates (tokenizer_config.json at huggingface.co, 2026-11). */
const families: readonly [match: RegExp, template: Template][] = [
  [
    /llama-?_?(3|4)/,
    {
      begin: '<|begin_of_text|>',
      sides: { ...each(header), tool: header('ipython') },
      answer: header('assistant')[0],
    },
  ],
  [
    /llama-?_?2.*chat|codellama.*instruct/,
    {
      begin: '<s>',
      sides: instructed(' </s><s>'),
      answer: '',
      fold: ['<<SYS>>\n', '\n<</SYS>>\n\n'],
    },
  ],
  [
    /(mistral|mixtral).*instruct|ministral|codestral/,
    { begin: '<s>', sides: instructed('</s>'), answer: '', fold: ['', '\n\n'] },
  ],
  [
    /granite-13b-chat/,
    { begin: '', sides: each((role) => barred(role, '')), answer: '<|assistant|>\n' },
  ],
  [/granite/, { begin: '', sides: each(granite), answer: granite('assistant')[0] }],
  [
    /gemma/,
    {
      begin: '<bos>',
      sides: { ...each(gemmaTurn), assistant: gemmaTurn('model'), tool: gemmaTurn('user') },
      answer: gemmaTurn('model')[0],
      fold: ['', '\n\n'],
    },
  ],
  [
    /phi-?[34]/,
    { begin: '', sides: each((role) => barred(role, '<|end|>')), answer: '<|assistant|>\n' },
  ],
  [
    /zephyr|tinyllama/,
    { begin: '', sides: each((role) => barred(role, '</s>')), answer: '<|assistant|>\n' },
  ],
  [
    /qwen|chatml|hermes|yi-|smollm|internlm|dbrx/,
    { begin: '', sides: each(chatMl), answer: chatMl('assistant')[0] },
  ],
]

/** `roles`, `initial_prompt_value` and `final_prompt_value` of a row, as LiteLLM has them. */
function ofRow(values: Readonly<Record<string, string>>): Template | undefined {
  const roles = parseOr(values['roles'] ?? '')
  if (!isObject(roles)) return undefined
  const around = (side: Side): Around => {
    const { pre_message, post_message } = object(roles[side])
    return [text(pre_message) ?? '', text(post_message) ?? '']
  }
  const sides = each(around)
  return {
    begin: values['initial_prompt_value'] ?? '',
    sides: { ...sides, tool: isObject(roles['tool']) ? sides.tool : sides.user },
    answer: values['final_prompt_value'] ?? '',
  }
}

/** The row's parameters that shape prompts, as `values` of a provider. */
export const promptValues = {
  hf_model_name: '{hf_model_name}',
  roles: '{roles}',
  initial_prompt_value: '{initial_prompt_value}',
  final_prompt_value: '{final_prompt_value}',
} as const satisfies JsonObject
