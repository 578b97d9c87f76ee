import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked, targetOf } from '../testing.test.ts'
import { encodePrompt } from './prompt.ts'

const talk = [
  { role: 'system', content: 'S' },
  { role: 'user', content: 'A' },
  { role: 'assistant', content: 'B' },
  { role: 'user', content: 'C' },
]
const told = (model: string, messages = talk, values: Record<string, string> = {}): string =>
  encodePrompt(asked({ messages }).messages, targetOf('p', model, { values }), [])

/** As the models' own chat templates render it. */
const families: [model: string, prompt: string][] = [
  ['anything', 'S\n\nUser: A\n\nAssistant: B\n\nUser: C\n\nAssistant:'],
  ['llama-2-7b-chat', '<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]'],
  ['Mistral-7B-Instruct-v0.3', '<s>[INST] S\n\nA [/INST] B</s>[INST] C [/INST]'],
  [
    'Qwen2.5-7B',
    '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n',
  ],
  [
    'gemma-2-9b-it',
    '<bos><start_of_turn>user\nS\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n<start_of_turn>user\nC<end_of_turn>\n<start_of_turn>model\n',
  ],
  [
    'granite-3-8b-instruct',
    '<|start_of_role|>system<|end_of_role|>S<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>A<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>B<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>C<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>',
  ],
  [
    'Phi-3-mini',
    '<|system|>\nS<|end|>\n<|user|>\nA<|end|>\n<|assistant|>\nB<|end|>\n<|user|>\nC<|end|>\n<|assistant|>\n',
  ],
]
for (const [model, prompt] of families)
  test(`the prompt of ${model}`, () => assert.equal(told(model), prompt))

test('the model behind an endpoint tells the family', () =>
  assert.equal(
    told('my-endpoint', talk, { hf_model_name: 'meta-llama/Llama-2-7b-chat-hf' }),
    told('llama-2-7b-chat'),
  ))

test("the row's own shape comes before any family", () => {
  const roles = JSON.stringify({
    user: { pre_message: '[U]', post_message: '[/U]' },
    assistant: { pre_message: '[A]', post_message: '[/A]' },
  })
  const values = { roles, initial_prompt_value: '<<', final_prompt_value: '>>' }
  assert.equal(told('qwen', talk, values), '<<S[U]A[/U][A]B[/A][U]C[/U]>>')
})

test('instructions without a question are the question where they have no side', () =>
  assert.equal(
    told('mistral-7b-instruct', [...talk.slice(0, 1), { role: 'assistant', content: 'B' }]),
    '<s>[INST] S\n\n [/INST] B',
  ))

test('nothing but instructions is refused', () =>
  assert.throws(() => told('qwen', talk.slice(0, 1)), { kind: 'bad_request', param: 'messages' }))
