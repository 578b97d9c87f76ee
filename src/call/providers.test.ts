import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import type { AuthFetch } from '../provider/auth/auth.ts'
import { createSchemes } from '../provider/auth/schemes.ts'
import { createDeployment, type Deployment } from '../provider/deployment.ts'
import { resolve } from '../provider/resolve.ts'
import { payloads } from '../wire/framing/aws-payload.test.ts'
import { call } from './call.ts'
import { mockTransport } from './mock.ts'
import type { Reply, Upstream } from './transport.ts'
import { ask, hear } from './upstream.test.ts'

/*
 * Providers that are spoken to in words of their own, from the row to the client's answer: which address, which
 * credential, which body, and what the client hears of what comes back.
 */

type Told = { status?: number; type?: string; body: string | Uint8Array }
type Case = {
  /** What the client says besides its message. */
  ask?: JsonObject
  /** What must have been sent, the whole body. */
  sent?: JsonObject
  url?: string
  told?: Told
  text?: string
  thought?: string
  calls?: [name: string, input: JsonObject][]
  finish?: string
  usage?: [input: number, output: number]
  error?: [kind: string, words: RegExp]
}
type Provider = {
  model: string
  params?: JsonObject
  env?: Record<string, string>
  /** What token endpoints say, by URL. */
  tokens?: (request: AuthFetch) => JsonObject
  /** Sent with every request, besides the type of the content. */
  headers: Record<string, string | RegExp>
  cases: Record<string, Case>
  /** Without any setting. */
  problem: RegExp
}

function deploymentOf({
  model,
  params = {},
  env = {},
  tokens,
}: Pick<Provider, 'model' | 'params' | 'env' | 'tokens'>): Deployment {
  const read = (name: string) => env[name]
  return createDeployment(
    {
      modelName: 'public',
      params: { model, ...params },
      defaults: {},
      prices: {},
      info: {},
      unset: {},
    },
    {
      env: read,
      resolve: (name, custom, base) => resolve(name, custom, { base }),
      infoOf: (_provider, _model, overrides) => overrides,
      dropParams: false,
      modifyParams: false,
      schemes: createSchemes({
        env: read,
        now: () => 1_800_000_000_000,
        fetch: async (request) => ({ status: 200, body: JSON.stringify(tokens?.(request) ?? {}) }),
        readFile: async (path) => env[`file:${path}`] ?? assert.fail(`no file ${path}`),
      }),
    },
    'id-1',
  )
}

type Heard = {
  text: string
  thought: string
  calls: [string, Json | undefined][]
  finish: string | undefined
  usage: JsonObject
  asked: Upstream[]
}

async function reach(to: Deployment, said: JsonObject, told: readonly Told[]): Promise<Heard> {
  const asked: Upstream[] = []
  const transport = async (request: Upstream): Promise<Reply> => {
    const {
      status = 200,
      type = 'application/json',
      body,
    } = told[Math.min(asked.length, told.length - 1)] ?? assert.fail('nothing to answer')
    asked.push(request)
    const bytes = typeof body === 'string' ? toUtf8(body) : body
    return {
      status,
      header: (name) => (name === 'content-type' ? type : undefined),
      headers: () => ({ 'content-type': type }),
      body: (async function* () {
        // In two reads, so that frames are cut.
        const half = Math.floor(bytes.length / 2)
        yield bytes.subarray(0, half)
        yield bytes.subarray(half)
      })(),
      bytes: async () => bytes,
    }
  }
  const answer = await call(
    hear(said),
    to,
    ask({
      context: { model: 'public', requestId: 'r', created: 1, streamUsage: true, choices: 1 },
    }),
    { transport, mock: mockTransport, maxLineBytes: 100_000, maxAnswerBytes: 1 << 20 },
    { signal: new AbortController().signal, limits: {} },
  )
  if (answer.type === 'whole') {
    const { body: written, encoding } = answer.result.encode(undefined)
    const body = object(JSON.parse(encoding === 'latin1' ? utf8(bytesOf(written)) : written))
    const choice = object(list(body.choices)[0])
    const message = object(choice.message)
    return {
      ...wordsOf([message]),
      finish: text(choice.finish_reason),
      usage: object(body.usage),
      asked,
    }
  }
  const bytes = [...answer.head]
  for (let read = await answer.rest.next(); read; read = await answer.rest.next())
    bytes.push(answer.relay.push(read) ?? new Uint8Array())
  bytes.push(answer.relay.flush() ?? new Uint8Array())
  if (answer.relay.fault) throw answer.relay.fault
  bytes.push(answer.relay.end(undefined))
  const chunks = bytes
    .map(utf8)
    .join('')
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => object(JSON.parse(event.slice('data: '.length))))
  const choices = chunks.flatMap((chunk) => list(chunk.choices)).map(object)
  return {
    ...wordsOf(choices.map((choice) => object(choice.delta))),
    finish: text(choices.findLast((choice) => choice.finish_reason)?.finish_reason),
    usage: object(chunks.findLast((chunk) => isObject(chunk.usage))?.usage),
    asked,
  }
}

function wordsOf(pieces: readonly JsonObject[]): Pick<Heard, 'text' | 'thought' | 'calls'> {
  const calls: { name: string; input: string }[] = []
  pieces
    .flatMap((piece) => list(piece.tool_calls))
    .map(object)
    .forEach((piece, at) => {
      const index = typeof piece.index === 'number' ? piece.index : at
      const { name, arguments: input } = object(piece.function)
      const call = (calls[index] ??= { name: '', input: '' })
      call.name += text(name) ?? ''
      call.input += text(input) ?? ''
    })
  const all = (field: string) => pieces.map((piece) => text(piece[field]) ?? '').join('')
  return {
    text: all('content'),
    thought: all('reasoning_content'),
    calls: calls.map(({ name, input }) => [name, JSON.parse(input)]),
  }
}

const json = (body: Json, status = 200): Told => ({ status, body: JSON.stringify(body) })
const sse = (...events: (JsonObject | string)[]): Told => ({
  type: 'text/event-stream',
  body: events
    .map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
    .join(''),
})
const lines = (...events: JsonObject[]): Told => ({
  type: 'application/stream+json',
  body: events.map((event) => `${JSON.stringify(event)}\n`).join(''),
})
const aws = ({ body }: Told): Told => ({
  type: 'application/vnd.amazon.eventstream',
  body: payloads(typeof body === 'string' ? body : '', 7),
})

const hi = { messages: [{ role: 'user', content: 'Hi' }] }
const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const look = {
  type: 'function',
  function: { name: 'look', description: 'Looks', parameters: schema },
}
const called = {
  role: 'assistant',
  content: null,
  tool_calls: [
    { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"city":"Zug"}' } },
  ],
}
const loop = {
  messages: [
    { role: 'system', content: 'Be kind.' },
    ...hi.messages,
    called,
    { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
  ],
  tools: [look],
}
const url = 'data:image/png;base64,AAAA'
const image = {
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'See?' },
        { type: 'image_url', image_url: { url } },
      ],
    },
  ],
}

/** OpenAI's own answers, for those who only wrap the request. */
const tokens = { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
const whole = (message: JsonObject, finish_reason = 'stop'): JsonObject => ({
  id: 'a1',
  created: 5,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }],
  usage: tokens,
})
const chunk = (delta: JsonObject, finish_reason: string | null = null): JsonObject => ({
  id: 'a1',
  created: 5,
  model: 'm',
  choices: [{ index: 0, delta, finish_reason }],
})
const chunks = [
  chunk({ role: 'assistant', content: 'Grü' }),
  chunk({ content: 'ezi' }),
  chunk({}, 'stop'),
  { ...chunk({}), choices: [], usage: tokens },
]
const hello = { text: 'Grüezi', finish: 'stop', usage: [7, 2] } satisfies Case
const looked = { calls: [['look', { city: 'Zug' }]], finish: 'tool_calls' } satisfies Case
const callAnswer = whole({ content: null, tool_calls: called.tool_calls }, 'tool_calls')

const iam = 'https://iam.cloud.ibm.com/identity/token'
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const expiry = { access_token: 't-1234567890', expires_in: 3600 }
const bearer = { authorization: 'Bearer t-1234567890' }

const vertex = { vertex_project: 'p1', vertex_location: 'europe-west1' }
const google: Pick<Provider, 'params' | 'tokens' | 'headers' | 'problem'> = {
  params: {
    ...vertex,
    vertex_credentials: {
      type: 'authorized_user',
      client_id: 'i',
      client_secret: 'google-s3cret',
      refresh_token: 'google-r3fresh',
    },
  },
  tokens: () => expiry,
  headers: bearer,
  problem: /^$/,
}
const vertexBase =
  'https://europe-west1-aiplatform.googleapis.com/v1/projects/p1/locations/europe-west1'

const textMessages = { messages: [{ role: 'system', content: 'S' }, ...hi.messages] }
const tgiWhole = {
  generated_text: 'Grüezi',
  details: { finish_reason: 'eos_token', generated_tokens: 2, input_length: 7 },
}
const tgiEvents = [
  { index: 1, token: { id: 1, text: 'Grü', special: false }, generated_text: null },
  { index: 2, token: { id: 2, text: 'ezi', special: false }, generated_text: null },
  { token: { id: 3, text: '</s>', special: true }, ...tgiWhole },
]
const cohereWhole = {
  generation_id: 'g',
  text: 'Grüezi',
  finish_reason: 'COMPLETE',
  meta: { billed_units: { input_tokens: 7, output_tokens: 2 } },
}
const tgiParameters = { return_full_text: false, details: true }

const providers: Record<string, Provider> = {
  watsonx: {
    model: 'watsonx/ibm/granite-3-8b-instruct',
    params: { api_base: 'https://eu-de.ml.cloud.ibm.com', api_key: 'ibm-key-1', project_id: 'p' },
    tokens: ({ url }) => (url === iam ? expiry : assert.fail(url)),
    headers: bearer,
    problem: /no address|no credentials/,
    cases: {
      basic: {
        ask: { ...hi, max_tokens: 9, tool_choice: undefined },
        url: 'https://eu-de.ml.cloud.ibm.com/ml/v1/text/chat?version=2024-03-13',
        sent: {
          model_id: 'ibm/granite-3-8b-instruct',
          project_id: 'p',
          ...hi,
          max_completion_tokens: 9,
        },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true },
        url: 'https://eu-de.ml.cloud.ibm.com/ml/v1/text/chat_stream?version=2024-03-13',
        sent: { model_id: 'ibm/granite-3-8b-instruct', project_id: 'p', ...hi },
        told: sse(...chunks),
        ...hello,
      },
      tools: {
        ask: {
          ...hi,
          tools: [
            {
              type: 'function',
              function: {
                name: 'look',
                strict: true,
                parameters: { ...schema, additionalProperties: false },
              },
            },
          ],
          tool_choice: 'required',
        },
        sent: {
          model_id: 'ibm/granite-3-8b-instruct',
          project_id: 'p',
          ...hi,
          tools: [{ type: 'function', function: { name: 'look', parameters: schema } }],
          tool_choice_option: 'required',
        },
        told: json(callAnswer),
        ...looked,
      },
      'tool by name': {
        ask: {
          ...hi,
          tools: [look],
          tool_choice: { type: 'function', function: { name: 'look' } },
        },
        sent: {
          model_id: 'ibm/granite-3-8b-instruct',
          project_id: 'p',
          ...hi,
          tools: [look],
          tool_choice: { type: 'function', function: { name: 'look' } },
        },
        told: json(callAnswer),
        ...looked,
      },
      'tool loop': {
        ask: loop,
        sent: { model_id: 'ibm/granite-3-8b-instruct', project_id: 'p', ...loop },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      image: {
        ask: image,
        sent: { model_id: 'ibm/granite-3-8b-instruct', project_id: 'p', ...image },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      error: {
        ask: hi,
        told: json({ errors: [{ code: 'model_not_supported', message: 'no such' }] }, 404),
        error: ['not_found', /model_not_supported/],
      },
      thoughts: {
        ask: { ...hi, reasoning_effort: 'low' },
        told: json(whole({ content: 'Grüezi', reasoning_content: 'hm' })),
        thought: 'hm',
        ...hello,
      },
    },
  },
  'watsonx, a deployment, a Zen key': {
    model: 'watsonx/deployment/d-1',
    params: { api_base: 'https://cpd.example', zen_api_key: 'zen-key-1' },
    headers: { authorization: 'ZenApiKey zen-key-1' },
    problem: /no credentials/,
    cases: {
      basic: {
        ask: hi,
        url: 'https://cpd.example/ml/v1/deployments/d-1/text/chat?version=2024-03-13',
        sent: hi,
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
    },
  },
  watsonx_text: {
    model: 'watsonx_text/ibm/granite-13b-chat-v2',
    params: { api_base: 'https://eu-de.ml.cloud.ibm.com', token: 't-1234567890', space_id: 's' },
    headers: bearer,
    problem: /no address|no credentials/,
    cases: {
      basic: {
        ask: { ...textMessages, max_tokens: 9, stop: ['E'], seed: 1, frequency_penalty: 1 },
        url: 'https://eu-de.ml.cloud.ibm.com/ml/v1/text/generation?version=2024-03-13',
        sent: {
          model_id: 'ibm/granite-13b-chat-v2',
          space_id: 's',
          input: '<|system|>\nS\n<|user|>\nHi\n<|assistant|>\n',
          parameters: {
            max_new_tokens: 9,
            random_seed: 1,
            stop_sequences: ['E'],
            repetition_penalty: 1.5,
          },
        },
        told: json({
          model_id: 'm',
          results: [
            {
              generated_text: 'Grüezi',
              input_token_count: 7,
              generated_token_count: 2,
              stop_reason: 'eos_token',
            },
          ],
        }),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true, temperature: 0 },
        url: 'https://eu-de.ml.cloud.ibm.com/ml/v1/text/generation_stream?version=2024-03-13',
        sent: {
          model_id: 'ibm/granite-13b-chat-v2',
          space_id: 's',
          input: '<|user|>\nHi\n<|assistant|>\n',
          parameters: { decoding_method: 'greedy' },
        },
        told: sse(
          {
            results: [{ generated_text: 'Grü', input_token_count: 7, stop_reason: 'not_finished' }],
          },
          {
            results: [
              {
                generated_text: 'ezi',
                input_token_count: 0,
                generated_token_count: 2,
                stop_reason: 'EOS_TOKEN',
              },
            ],
          },
        ),
        ...hello,
      },
      'cut short': {
        ask: hi,
        told: json({ results: [{ generated_text: 'Grüezi', stop_reason: 'max_tokens' }] }),
        text: 'Grüezi',
        finish: 'length',
      },
      tools: { ask: { ...hi, tools: [look] }, error: ['unsupported_params', /'tools'/] },
      'tool loop': {
        ask: { messages: loop.messages },
        sent: {
          model_id: 'ibm/granite-13b-chat-v2',
          space_id: 's',
          input:
            '<|system|>\nBe kind.\n<|user|>\nHi\n<|assistant|>\nlook({"city":"Zug"})\n<|tool|>\nsunny\n<|assistant|>\n',
          parameters: {},
        },
        told: json({ results: [{ generated_text: 'ok', stop_reason: 'eos_token' }] }),
        text: 'ok',
      },
      image: { ask: image, error: ['bad_request', /does not take image\/png/] },
      error: {
        ask: hi,
        told: json({ errors: [{ code: 'invalid_request_entity', message: 'bad' }] }, 400),
        error: ['bad_request', /invalid_request_entity/],
      },
      'an error in the stream': {
        ask: { ...hi, stream: true },
        told: sse({ errors: [{ code: 'rate', message: 'slow down' }], status_code: 429 }),
        error: ['rate_limit', /slow down/],
      },
    },
  },
  sagemaker_chat: {
    model: 'sagemaker_chat/my-endpoint',
    params: {
      aws_access_key_id: 'AKIA1234',
      aws_secret_access_key: 'aws-s3cret-key',
      aws_region_name: 'eu-central-1',
      model_id: 'part-1',
      hf_model_name: 'meta/llama',
    },
    headers: {
      authorization:
        /^AWS4-HMAC-SHA256 Credential=AKIA1234\/\d+\/eu-central-1\/sagemaker\/aws4_request/,
      'x-amzn-sagemaker-inference-component': 'part-1',
      'x-amz-date': /Z$/,
    },
    problem: /^$/,
    cases: {
      basic: {
        ask: { ...hi, max_tokens: 5 },
        url: 'https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/my-endpoint/invocations',
        sent: { ...hi, max_tokens: 5, model: 'meta/llama' },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true },
        url: 'https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/my-endpoint/invocations-response-stream',
        sent: {
          ...hi,
          model: 'meta/llama',
          stream: true,
          stream_options: { include_usage: true },
        },
        told: aws(sse(...chunks, '[DONE]')),
        ...hello,
      },
      tools: {
        ask: { ...hi, tools: [look] },
        sent: { ...hi, model: 'meta/llama', tools: [look] },
        told: json(callAnswer),
        ...looked,
      },
      'tool loop': {
        ask: loop,
        sent: { ...loop, model: 'meta/llama' },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      image: {
        ask: image,
        sent: { ...image, model: 'meta/llama' },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      "the container's error": {
        ask: hi,
        told: json(
          {
            ErrorCode: 'CLIENT_ERROR_FROM_MODEL',
            Message: 'Received client error (422) from primary',
            OriginalMessage: '{"error":"inputs must be shorter"}',
            OriginalStatusCode: 422,
          },
          424,
        ),
        error: ['unprocessable', /inputs must be shorter/],
      },
      'an error of the service': {
        ask: hi,
        told: json({ message: 'Endpoint my-endpoint of account 1 not found.' }, 400),
        error: ['bad_request', /not found/],
      },
      'a list of one': {
        ask: hi,
        told: json([whole({ content: 'Grüezi' })]),
        ...hello,
      },
    },
  },
  sagemaker_nova: {
    model: 'sagemaker_nova/nova-endpoint',
    env: {
      AWS_ACCESS_KEY_ID: 'AKIAENV1',
      AWS_SECRET_ACCESS_KEY: 'aws-s3cret-key',
      AWS_REGION: 'us-east-1',
    },
    headers: {
      authorization: /Credential=AKIAENV1\/\d+\/us-east-1\/sagemaker/,
      'x-amz-date': /Z$/,
    },
    problem: /^$/,
    cases: {
      basic: {
        ask: { ...hi, reasoning_effort: 'low', top_k: 3 },
        url: 'https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/nova-endpoint/invocations',
        sent: { ...hi, reasoning_effort: 'low', top_k: 3 },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      'what it does not know': {
        ask: { ...hi, seed: 1 },
        error: ['unsupported_params', /'seed'/],
      },
    },
  },
  sagemaker: {
    model: 'sagemaker/jumpstart-dft-meta-textgeneration-llama-2-7b-chat',
    params: { sagemaker_base_url: 'https://vpce.example/endpoints/x/invocations' },
    env: { AWS_ACCESS_KEY_ID: 'AKIAENV1', AWS_SECRET_ACCESS_KEY: 'aws-s3cret-key' },
    headers: { authorization: /us-west-2\/sagemaker/, 'x-amz-date': /Z$/ },
    problem: /^$/,
    cases: {
      basic: {
        ask: { ...textMessages, max_tokens: 9, temperature: 0, top_p: 1, n: 1 },
        url: 'https://vpce.example/endpoints/jumpstart-dft-meta-textgeneration-llama-2-7b-chat/invocations',
        sent: {
          inputs: '<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nHi [/INST]',
          parameters: { ...tgiParameters, max_new_tokens: 9, do_sample: false },
        },
        told: json([tgiWhole]),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true, repetition_penalty: 1.1 },
        sent: {
          inputs: '<s>[INST] Hi [/INST]',
          parameters: { ...tgiParameters, repetition_penalty: 1.1 },
          stream: true,
        },
        told: aws(sse(...tgiEvents)),
        ...hello,
      },
      'a stream of lines': {
        ask: { ...hi, stream: true },
        told: aws({
          body: tgiEvents.map((event) => `${JSON.stringify(event)}\n`).join(''),
        }),
        ...hello,
      },
      'several answers, the best': {
        ask: { ...hi, n: 2 },
        sent: {
          inputs: '<s>[INST] Hi [/INST]',
          parameters: { ...tgiParameters, best_of: 2, do_sample: true },
        },
        told: json([tgiWhole]),
        ...hello,
      },
      'a JumpStart message': {
        ask: hi,
        told: json([{ generation: { role: 'assistant', content: ' Grüezi' } }]),
        text: ' Grüezi',
        finish: 'stop',
      },
      structure: {
        ask: {
          ...hi,
          response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
        },
        sent: {
          inputs: '<s>[INST] Hi [/INST]',
          parameters: { ...tgiParameters, grammar: { type: 'json', value: schema } },
        },
        told: json([tgiWhole]),
        ...hello,
      },
      tools: { ask: { ...hi, tools: [look] }, error: ['unsupported_params', /'tools'/] },
      image: { ask: image, error: ['bad_request', /does not take image\/png/] },
      error: {
        ask: hi,
        told: json({ message: 'rate exceeded', __type: 'ThrottlingException' }, 400),
        error: ['rate_limit', /rate exceeded/],
      },
    },
  },
  predibase: {
    model: 'predibase/llama-3-8b-instruct',
    params: { api_key: 'pb-key-12345', predibase_tenant_id: 'tenant-1' },
    headers: { authorization: 'Bearer pb-key-12345' },
    problem:
      /no API key|set predibase_tenant_id or tenant_id in litellm_params, or PREDIBASE_TENANT_ID/,
    cases: {
      basic: {
        ask: { ...textMessages, adapter_id: 'a/1' },
        url: 'https://serving.app.predibase.com/tenant-1/deployments/v2/llms/llama-3-8b-instruct/generate',
        sent: {
          inputs:
            '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
          parameters: { ...tgiParameters, adapter_id: 'a/1', max_new_tokens: 4096 },
        },
        told: json(tgiWhole),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true },
        url: 'https://serving.app.predibase.com/tenant-1/deployments/v2/llms/llama-3-8b-instruct/generate_stream',
        told: sse(...tgiEvents),
        ...hello,
      },
      'gone on with': {
        ask: { messages: [...hi.messages, { role: 'assistant', content: 'Grü' }], max_tokens: 1 },
        sent: {
          inputs:
            '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nGrü',
          parameters: { ...tgiParameters, max_new_tokens: 1 },
        },
        told: json({ generated_text: 'ezi', details: { finish_reason: 'length' } }),
        text: 'ezi',
        finish: 'length',
      },
      error: {
        ask: hi,
        told: json({ error: 'too many tokens', error_type: 'validation' }, 422),
        error: ['context_window', /too many tokens/],
      },
      'an error in the stream': {
        ask: { ...hi, stream: true },
        told: sse({ error: 'CUDA is gone', error_type: 'generation' }),
        error: ['provider', /CUDA is gone/],
      },
      'a stream that is cut': {
        ask: { ...hi, stream: true },
        told: sse(tgiEvents[0] ?? {}),
        error: ['bad_gateway', /before the answer was complete/],
      },
    },
  },
  triton: {
    model: 'triton/llama',
    params: { api_base: 'http://127.0.0.1:8000/v2/models/llama/generate' },
    headers: {},
    problem: /no address/,
    cases: {
      basic: {
        ask: { ...hi, max_tokens: 9, temperature: 1, stop: 'E' },
        url: 'http://127.0.0.1:8000/v2/models/llama/generate',
        sent: {
          text_input: 'User: Hi\n\nAssistant:',
          parameters: { max_tokens: 9, temperature: 1, stop_words: ['E'] },
        },
        told: json({ model_name: 'llama', text_output: 'Grüezi' }),
        text: 'Grüezi',
        finish: 'stop',
      },
      stream: {
        ask: { ...hi, stream: true },
        url: 'http://127.0.0.1:8000/v2/models/llama/generate_stream',
        sent: {
          text_input: 'User: Hi\n\nAssistant:',
          parameters: { max_tokens: 2000 },
          stream: true,
        },
        told: sse({ text_output: 'Grü' }, { text_output: 'ezi' }),
        text: 'Grüezi',
        finish: 'stop',
      },
      tools: { ask: { ...hi, tools: [look] }, error: ['unsupported_params', /'tools'/] },
      error: {
        ask: hi,
        told: json({ error: 'unknown model llama' }, 400),
        error: ['bad_request', /unknown model/],
      },
    },
  },
  'triton, tensors': {
    model: 'triton/llama',
    params: { api_base: 'http://127.0.0.1:8000/v2/models/llama/infer' },
    headers: {},
    problem: /no address/,
    cases: {
      basic: {
        ask: { ...hi, max_tokens: 9, temperature: 1 },
        url: 'http://127.0.0.1:8000/v2/models/llama/infer',
        sent: {
          inputs: [
            { name: 'text_input', shape: [1], datatype: 'BYTES', data: ['User: Hi\n\nAssistant:'] },
            { name: 'max_tokens', shape: [1], datatype: 'INT32', data: [9] },
            { name: 'temperature', shape: [1], datatype: 'FP32', data: [1] },
          ],
        },
        told: json({ outputs: [{ name: 'text_output', data: ['Grü', 'ezi'] }] }),
        text: 'Grüezi',
        finish: 'stop',
      },
      'a stream of one': {
        ask: { ...hi, stream: true },
        url: 'http://127.0.0.1:8000/v2/models/llama/infer',
        told: json({ outputs: [{ name: 'text_output', data: ['Grüezi'] }] }),
        text: 'Grüezi',
        finish: 'stop',
      },
    },
  },
  'oci, generic': {
    model: 'oci/meta.llama-3.3-70b-instruct',
    params: {
      oci_user: 'ocid1.user.oc1..u',
      oci_fingerprint: 'aa:bb',
      oci_tenancy: 'ocid1.tenancy.oc1..t',
      oci_key: pem,
      oci_region: 'eu-frankfurt-1',
      oci_compartment_id: 'ocid1.compartment.oc1..c',
    },
    headers: {
      authorization:
        /^Signature version="1",keyId="ocid1.tenancy.oc1..t\/ocid1.user.oc1..u\/aa:bb",algorithm="rsa-sha256"/,
      date: /GMT$/,
      'x-content-sha256': /=$/,
    },
    problem: /oci_compartment_id|oci_tenancy/,
    cases: {
      basic: {
        ask: { ...textMessages, max_tokens: 9, temperature: 0.5, stop: 'E' },
        url: 'https://inference.generativeai.eu-frankfurt-1.oci.oraclecloud.com/20231130/actions/chat',
        sent: {
          compartmentId: 'ocid1.compartment.oc1..c',
          servingMode: { servingType: 'ON_DEMAND', modelId: 'meta.llama-3.3-70b-instruct' },
          chatRequest: {
            apiFormat: 'GENERIC',
            messages: [
              { role: 'SYSTEM', content: [{ type: 'TEXT', text: 'S' }] },
              { role: 'USER', content: [{ type: 'TEXT', text: 'Hi' }] },
            ],
            isStream: false,
            maxTokens: 9,
            temperature: 0.5,
            stop: ['E'],
          },
        },
        told: json({
          modelId: 'm',
          chatResponse: {
            apiFormat: 'GENERIC',
            timeCreated: '2026-01-01T00:00:00Z',
            choices: [
              {
                index: 0,
                message: { role: 'ASSISTANT', content: [{ type: 'TEXT', text: 'Grüezi' }] },
                finishReason: 'stop',
              },
            ],
            usage: { promptTokens: 7, completionTokens: 2, totalTokens: 9 },
          },
        }),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true },
        told: sse(
          {
            index: 0,
            message: { role: 'ASSISTANT', content: [{ type: 'TEXT', text: 'Grü' }] },
            pad: 'aa',
          },
          { index: 0, message: { content: [{ type: 'TEXT', text: 'ezi' }] } },
          { finishReason: 'stop', pad: 'a' },
          { usage: { promptTokens: 7, completionTokens: 2 } },
        ),
        ...hello,
      },
      tools: {
        ask: { ...hi, tools: [look], tool_choice: 'required', max_tokens: 9 },
        sent: {
          compartmentId: 'ocid1.compartment.oc1..c',
          servingMode: { servingType: 'ON_DEMAND', modelId: 'meta.llama-3.3-70b-instruct' },
          chatRequest: {
            apiFormat: 'GENERIC',
            messages: [{ role: 'USER', content: [{ type: 'TEXT', text: 'Hi' }] }],
            isStream: false,
            maxTokens: 9,
            tools: [{ type: 'FUNCTION', name: 'look', description: 'Looks', parameters: schema }],
            toolChoice: { type: 'REQUIRED' },
          },
        },
        told: json({
          chatResponse: {
            choices: [
              {
                message: {
                  toolCalls: [
                    { id: 'c1', type: 'FUNCTION', name: 'look', arguments: '{"city":"Zug"}' },
                  ],
                },
                finishReason: 'tool_calls',
              },
            ],
          },
        }),
        ...looked,
      },
      'a call in pieces': {
        ask: { ...hi, stream: true, tools: [look] },
        told: sse(
          { message: { toolCalls: [{ id: 'c1', name: 'look', arguments: '' }] } },
          { message: { toolCalls: [{ arguments: '{"city":' }] } },
          { message: { toolCalls: [{ arguments: '"Zug"}' }] } },
          { finishReason: 'tool_calls' },
        ),
        ...looked,
      },
      'tool loop': {
        ask: { ...loop, max_tokens: 9 },
        sent: {
          compartmentId: 'ocid1.compartment.oc1..c',
          servingMode: { servingType: 'ON_DEMAND', modelId: 'meta.llama-3.3-70b-instruct' },
          chatRequest: {
            apiFormat: 'GENERIC',
            messages: [
              { role: 'SYSTEM', content: [{ type: 'TEXT', text: 'Be kind.' }] },
              { role: 'USER', content: [{ type: 'TEXT', text: 'Hi' }] },
              {
                role: 'ASSISTANT',
                toolCalls: [
                  { id: 'c1', type: 'FUNCTION', name: 'look', arguments: '{"city":"Zug"}' },
                ],
              },
              { role: 'TOOL', toolCallId: 'c1', content: [{ type: 'TEXT', text: 'sunny' }] },
            ],
            isStream: false,
            maxTokens: 9,
            tools: [{ type: 'FUNCTION', name: 'look', description: 'Looks', parameters: schema }],
          },
        },
        told: json({
          chatResponse: { choices: [{ message: { content: [{ text: 'ok' }] } }] },
        }),
        text: 'ok',
      },
      image: {
        ask: { ...image, max_tokens: 9 },
        sent: {
          compartmentId: 'ocid1.compartment.oc1..c',
          servingMode: { servingType: 'ON_DEMAND', modelId: 'meta.llama-3.3-70b-instruct' },
          chatRequest: {
            apiFormat: 'GENERIC',
            messages: [
              {
                role: 'USER',
                content: [
                  { type: 'TEXT', text: 'See?' },
                  { type: 'IMAGE', imageUrl: { url } },
                ],
              },
            ],
            isStream: false,
            maxTokens: 9,
          },
        },
        told: json({ chatResponse: { choices: [{ message: { content: [{ text: 'ok' }] } }] } }),
        text: 'ok',
      },
      error: {
        ask: hi,
        told: json({ code: 'NotAuthenticated', message: 'wrong key' }, 401),
        error: ['authentication', /wrong key/],
      },
      'an error in the stream': {
        ask: { ...hi, stream: true },
        told: sse({ code: '429', message: 'slow down' }),
        error: ['rate_limit', /slow down/],
      },
    },
  },
  'oci, cohere on a cluster of its own': {
    model: 'oci/cohere.command-r-plus',
    params: { oci_serving_mode: 'DEDICATED', oci_endpoint_id: 'ocid1.endpoint.oc1..e' },
    env: {
      OCI_USER: 'u',
      OCI_FINGERPRINT: 'f',
      OCI_TENANCY: 't',
      OCI_KEY_FILE: '/key.pem',
      'file:/key.pem': pem,
      OCI_COMPARTMENT_ID: 'ocid1.compartment.oc1..c',
    },
    headers: { authorization: /keyId="t\/u\/f"/, date: /GMT$/, 'x-content-sha256': /=$/ },
    problem: /oci_compartment_id|oci_tenancy/,
    cases: {
      basic: {
        ask: {
          messages: [
            { role: 'system', content: 'S' },
            { role: 'user', content: 'One' },
            { role: 'assistant', content: 'Two' },
            ...hi.messages,
          ],
          max_tokens: 9,
        },
        url: 'https://inference.generativeai.us-ashburn-1.oci.oraclecloud.com/20231130/actions/chat',
        sent: {
          compartmentId: 'ocid1.compartment.oc1..c',
          servingMode: { servingType: 'DEDICATED', endpointId: 'ocid1.endpoint.oc1..e' },
          chatRequest: {
            apiFormat: 'COHERE',
            message: 'Hi',
            chatHistory: [
              { role: 'USER', message: 'One' },
              { role: 'CHATBOT', message: 'Two' },
            ],
            preambleOverride: 'S',
            isStream: false,
            maxTokens: 9,
          },
        },
        told: json({
          chatResponse: {
            apiFormat: 'COHERE',
            text: 'Grüezi',
            finishReason: 'COMPLETE',
            usage: { promptTokens: 7, completionTokens: 2 },
          },
        }),
        ...hello,
      },
      'a stream that repeats itself': {
        ask: { ...hi, stream: true },
        told: sse(
          { apiFormat: 'COHERE', text: 'Grü' },
          { apiFormat: 'COHERE', text: 'ezi' },
          {
            apiFormat: 'COHERE',
            text: 'Grüezi',
            chatHistory: [],
            finishReason: 'COMPLETE',
            usage: { promptTokens: 7, completionTokens: 2 },
          },
        ),
        ...hello,
      },
      tools: {
        ask: { ...hi, tools: [look], max_tokens: 9 },
        sent: {
          compartmentId: 'ocid1.compartment.oc1..c',
          servingMode: { servingType: 'DEDICATED', endpointId: 'ocid1.endpoint.oc1..e' },
          chatRequest: {
            apiFormat: 'COHERE',
            message: 'Hi',
            isStream: false,
            maxTokens: 9,
            tools: [
              {
                name: 'look',
                description: 'Looks',
                parameterDefinitions: { city: { description: '', type: 'str', isRequired: true } },
              },
            ],
          },
        },
        told: json({
          chatResponse: {
            text: '',
            finishReason: 'COMPLETE',
            toolCalls: [{ name: 'look', parameters: { city: 'Zug' } }],
          },
        }),
        ...looked,
      },
      'a call, told twice': {
        ask: { ...hi, stream: true, tools: [look] },
        told: sse(
          { apiFormat: 'COHERE', toolCalls: [{ name: 'look', parameters: { city: 'Zug' } }] },
          {
            apiFormat: 'COHERE',
            toolCalls: [{ name: 'look', parameters: { city: 'Zug' } }],
            chatHistory: [],
            finishReason: 'COMPLETE',
          },
        ),
        ...looked,
      },
      'tool loop': {
        ask: { ...loop, max_tokens: 9, tools: undefined },
        sent: {
          compartmentId: 'ocid1.compartment.oc1..c',
          servingMode: { servingType: 'DEDICATED', endpointId: 'ocid1.endpoint.oc1..e' },
          chatRequest: {
            apiFormat: 'COHERE',
            message: '',
            chatHistory: [
              { role: 'USER', message: 'Hi' },
              {
                role: 'CHATBOT',
                message: '',
                toolCalls: [{ name: 'look', parameters: { city: 'Zug' } }],
              },
            ],
            toolResults: [
              {
                call: { name: 'look', parameters: { city: 'Zug' } },
                outputs: [{ output: 'sunny' }],
              },
            ],
            preambleOverride: 'Be kind.',
            isStream: false,
            maxTokens: 9,
          },
        },
        told: json({ chatResponse: { text: 'ok', finishReason: 'COMPLETE' } }),
        text: 'ok',
      },
      image: { ask: image, error: ['bad_request', /does not take image\/png/] },
      'a choice of tools': {
        ask: { ...hi, tools: [look], tool_choice: 'required' },
        error: ['unsupported_params', /'tool_choice'/],
      },
      'an error in a success': {
        ask: hi,
        told: json({ chatResponse: { text: '', errorMessage: 'toxic' } }),
        error: ['provider', /toxic/],
      },
    },
  },
  'cohere_chat, version 1': {
    model: 'cohere_chat/command-r',
    params: { api_base: 'https://api.cohere.ai/v1/chat', api_key: 'co-key-1' },
    headers: { authorization: 'Bearer co-key-1' },
    problem: /COHERE_API_KEY/,
    cases: {
      basic: {
        ask: {
          messages: [
            { role: 'system', content: 'S' },
            { role: 'user', content: 'One' },
            { role: 'assistant', content: 'Two' },
            ...hi.messages,
          ],
          max_tokens: 9,
          top_p: 0.5,
          stop: 'END',
          response_format: { type: 'json_object' },
          safety_mode: 'NONE',
        },
        url: 'https://api.cohere.ai/v1/chat',
        sent: {
          model: 'command-r',
          message: 'Hi',
          chat_history: [
            { role: 'USER', message: 'One' },
            { role: 'CHATBOT', message: 'Two' },
          ],
          preamble: 'S',
          max_tokens: 9,
          p: 0.5,
          stop_sequences: ['END'],
          response_format: { type: 'json_object' },
          safety_mode: 'NONE',
        },
        told: json(cohereWhole),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true },
        sent: { model: 'command-r', message: 'Hi', stream: true },
        told: lines(
          { event_type: 'stream-start', generation_id: 'g' },
          { event_type: 'text-generation', text: 'Grü' },
          { event_type: 'search-queries-generation', search_queries: [] },
          { event_type: 'text-generation', text: 'ezi' },
          { event_type: 'stream-end', finish_reason: 'COMPLETE', response: cohereWhole },
        ),
        ...hello,
      },
      'a stream that tells all at its end': {
        ask: { ...hi, stream: true },
        told: lines({ event_type: 'stream-end', response: cohereWhole }),
        ...hello,
      },
      tools: {
        ask: { ...hi, tools: [look] },
        sent: {
          model: 'command-r',
          message: 'Hi',
          tools: [
            {
              name: 'look',
              description: 'Looks',
              parameter_definitions: { city: { description: '', type: 'str', required: true } },
            },
          ],
        },
        told: json({
          text: '',
          finish_reason: 'COMPLETE',
          tool_calls: [{ name: 'look', parameters: { city: 'Zug' } }],
        }),
        ...looked,
      },
      'a call, told thrice': {
        ask: { ...hi, stream: true, tools: [look] },
        told: lines(
          { event_type: 'tool-calls-chunk', text: 'I look.' },
          { event_type: 'tool-calls-chunk', tool_call_delta: { index: 0, name: 'look' } },
          { event_type: 'tool-calls-chunk', tool_call_delta: { index: 0, parameters: '{"ci' } },
          {
            event_type: 'tool-calls-generation',
            text: 'I look.',
            tool_calls: [{ name: 'look', parameters: { city: 'Zug' } }],
          },
          {
            event_type: 'stream-end',
            finish_reason: 'COMPLETE',
            response: {
              text: 'I look.',
              tool_calls: [{ name: 'look', parameters: { city: 'Zug' } }],
            },
          },
        ),
        text: 'I look.',
        ...looked,
      },
      'tool loop': {
        ask: { ...loop, tools: undefined },
        sent: {
          model: 'command-r',
          message: '',
          chat_history: [
            { role: 'USER', message: 'Hi' },
            {
              role: 'CHATBOT',
              message: '',
              tool_calls: [{ name: 'look', parameters: { city: 'Zug' } }],
            },
          ],
          tool_results: [
            {
              call: { name: 'look', parameters: { city: 'Zug' } },
              outputs: [{ output: 'sunny' }],
            },
          ],
          preamble: 'Be kind.',
        },
        told: json(cohereWhole),
        ...hello,
      },
      image: { ask: image, error: ['bad_request', /does not take image\/png/] },
      'a choice of tools': {
        ask: { ...hi, tools: [look], tool_choice: 'required' },
        error: ['unsupported_params', /'tool_choice'/],
      },
      error: {
        ask: hi,
        told: json({ message: 'invalid api token' }, 401),
        error: ['authentication', /invalid api token/],
      },
      'an error in a stream': {
        ask: { ...hi, stream: true },
        told: lines({
          event_type: 'stream-end',
          finish_reason: 'ERROR',
          error: 'no capacity',
          response: {},
        }),
        error: ['provider', /no capacity/],
      },
    },
  },
  sap: {
    model: 'sap/gpt-4o',
    params: {
      service_key: {
        clientid: 'sb-1',
        clientsecret: 's3cret-of-sap',
        url: 'https://auth.sap.example',
        serviceurls: { AI_API_URL: 'https://api.sap.example' },
      },
      resource_group: 'mine',
    },
    tokens: ({ url }) =>
      url.includes('/lm/deployments')
        ? {
            resources: [
              {
                scenarioId: 'orchestration',
                status: 'RUNNING',
                deploymentUrl: 'https://api.sap.example/v2/inference/deployments/d1',
              },
            ],
          }
        : expiry,
    headers: { ...bearer, 'ai-resource-group': 'mine' },
    problem: /client_id, client_secret, auth_url is not known/,
    cases: {
      basic: {
        ask: { ...textMessages, max_tokens: 9, masking: { providers: [] } },
        url: 'https://api.sap.example/v2/inference/deployments/d1/v2/completion',
        sent: {
          config: {
            modules: {
              prompt_templating: {
                prompt: { template: textMessages.messages },
                model: { name: 'gpt-4o', version: 'latest', params: { max_tokens: 9 } },
              },
              masking: { providers: [] },
            },
          },
        },
        told: json({ request_id: 'q', final_result: whole({ content: 'Grüezi' }) }),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true },
        sent: {
          config: {
            modules: {
              prompt_templating: {
                prompt: { template: hi.messages },
                model: { name: 'gpt-4o', version: 'latest', params: {} },
              },
            },
            stream: { enabled: true },
          },
        },
        told: sse(
          { request_id: 'q', intermediate_results: { templating: [] } },
          ...chunks.map((final_result) => ({ request_id: 'q', final_result })),
          '[DONE]',
        ),
        ...hello,
      },
      tools: {
        ask: { ...hi, tools: [look] },
        sent: {
          config: {
            modules: {
              prompt_templating: {
                prompt: { template: hi.messages, tools: [look] },
                model: { name: 'gpt-4o', version: 'latest', params: {} },
              },
            },
          },
        },
        told: json({ final_result: callAnswer }),
        ...looked,
      },
      'tool loop': {
        ask: loop,
        told: json({ final_result: whole({ content: 'Grüezi' }) }),
        ...hello,
      },
      image: {
        ask: image,
        sent: {
          config: {
            modules: {
              prompt_templating: {
                prompt: { template: image.messages },
                model: { name: 'gpt-4o', version: 'latest', params: {} },
              },
            },
          },
        },
        told: json({ final_result: whole({ content: 'Grüezi' }) }),
        ...hello,
      },
      structure: {
        ask: { ...hi, response_format: { type: 'json_object' }, model_version: '1' },
        sent: {
          config: {
            modules: {
              prompt_templating: {
                prompt: { template: hi.messages, response_format: { type: 'json_object' } },
                model: { name: 'gpt-4o', version: '1', params: {} },
              },
            },
          },
        },
        told: json({ final_result: whole({ content: 'Grüezi' }) }),
        ...hello,
      },
      error: {
        ask: hi,
        told: json({ error: { request_id: 'q', code: 400, message: 'blocked by a filter' } }, 400),
        error: ['bad_request', /blocked by a filter/],
      },
      'an error in the stream': {
        ask: { ...hi, stream: true },
        told: sse({ error: { code: 503, message: 'the model is away' } }),
        error: ['unavailable', /the model is away/],
      },
    },
  },
  gigachat: {
    model: 'gigachat/GigaChat-2',
    params: { api_key: 'Y3JlZDppZA==', gigachat_scope: 'GIGACHAT_API_CORP' },
    tokens: ({ body }) =>
      body === 'scope=GIGACHAT_API_CORP' ? { ...expiry } : assert.fail(String(body)),
    headers: bearer,
    problem: /no credentials/,
    cases: {
      basic: {
        ask: { ...textMessages, max_tokens: 9, temperature: 0 },
        url: 'https://gigachat.devices.sberbank.ru/api/v1/chat/completions',
        sent: { model: 'GigaChat-2', ...textMessages, max_tokens: 9, top_p: 0 },
        told: json({ ...whole({ content: 'Grüezi' }), id: undefined }),
        ...hello,
      },
      stream: { ask: { ...hi, stream: true }, told: sse(...chunks, '[DONE]'), ...hello },
      tools: {
        ask: { ...hi, tools: [look], tool_choice: 'required' },
        sent: {
          model: 'GigaChat-2',
          ...hi,
          functions: [look.function],
          function_call: { name: 'look' },
        },
        told: json(
          whole(
            {
              content: '',
              function_call: { name: 'look', arguments: { city: 'Zug' } },
              functions_state_id: 's-1',
            },
            'function_call',
          ),
        ),
        ...looked,
      },
      'a call in a stream': {
        ask: { ...hi, stream: true, tools: [look] },
        told: sse(
          chunk({ function_call: { name: 'look', arguments: { city: 'Zug' } } }, 'function_call'),
        ),
        ...looked,
      },
      'tool loop': {
        ask: loop,
        sent: {
          model: 'GigaChat-2',
          messages: [
            { role: 'system', content: 'Be kind.' },
            { role: 'user', content: 'Hi' },
            {
              role: 'assistant',
              content: '',
              function_call: { name: 'look', arguments: { city: 'Zug' } },
            },
            { role: 'function', name: 'look', content: '"sunny"' },
          ],
          functions: [look.function],
        },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      structure: {
        ask: {
          ...hi,
          response_format: { type: 'json_schema', json_schema: { name: 'place', schema } },
        },
        sent: {
          model: 'GigaChat-2',
          ...hi,
          functions: [
            { name: 'place', description: 'The answer, in this structure.', parameters: schema },
          ],
          function_call: { name: 'place' },
        },
        told: json(
          whole({ function_call: { name: 'place', arguments: { city: 'Zug' } } }, 'function_call'),
        ),
        text: '{"city":"Zug"}',
        finish: 'stop',
      },
      usage: {
        ask: hi,
        told: json({
          ...whole({ content: 'Grüezi' }),
          usage: { prompt_tokens: 5, completion_tokens: 2, precached_prompt_tokens: 2 },
        }),
        ...hello,
      },
      image: { ask: image, error: ['bad_request', /GigaChat's own storage/] },
      error: {
        ask: hi,
        told: json({ status: 402, message: 'Payment Required' }, 402),
        error: ['bad_request', /Payment Required/],
      },
      blacklist: {
        ask: hi,
        told: json(whole({ content: 'no' }, 'blacklist')),
        text: 'no',
        finish: 'content_filter',
      },
    },
  },
  'vertex, Claude': {
    ...google,
    model: 'vertex_ai/claude-sonnet-4@20250514',
    cases: {
      basic: {
        ask: { ...textMessages, max_tokens: 9 },
        url: `${vertexBase}/publishers/anthropic/models/claude-sonnet-4@20250514:rawPredict`,
        sent: {
          anthropic_version: 'vertex-2023-10-16',
          system: [{ type: 'text', text: 'S' }],
          messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
          max_tokens: 9,
        },
        told: json({
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          content: [{ type: 'text', text: 'Grüezi' }],
          stop_reason: 'end_turn',
          usage: { input_tokens: 7, output_tokens: 2 },
        }),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true, max_tokens: 9 },
        url: `${vertexBase}/publishers/anthropic/models/claude-sonnet-4@20250514:streamRawPredict`,
        sent: {
          anthropic_version: 'vertex-2023-10-16',
          messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
          max_tokens: 9,
          stream: true,
        },
        told: sse(
          {
            type: 'message_start',
            message: { id: 'msg_1', usage: { input_tokens: 7, output_tokens: 1 } },
          },
          { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
          {
            type: 'content_block_delta',
            index: 0,
            delta: { type: 'text_delta', text: 'Grüezi' },
          },
          { type: 'content_block_stop', index: 0 },
          {
            type: 'message_delta',
            delta: { stop_reason: 'end_turn' },
            usage: { output_tokens: 2 },
          },
          { type: 'message_stop' },
        ),
        ...hello,
      },
      tools: {
        ask: { ...hi, tools: [look], max_tokens: 9 },
        told: json({
          id: 'msg_1',
          type: 'message',
          content: [{ type: 'tool_use', id: 'c1', name: 'look', input: { city: 'Zug' } }],
          stop_reason: 'tool_use',
          usage: { input_tokens: 7, output_tokens: 2 },
        }),
        ...looked,
      },
      image: {
        ask: { ...image, max_tokens: 9 },
        sent: {
          anthropic_version: 'vertex-2023-10-16',
          messages: [
            {
              role: 'user',
              content: [
                { type: 'text', text: 'See?' },
                {
                  type: 'image',
                  source: { type: 'base64', media_type: 'image/png', data: 'AAAA' },
                },
              ],
            },
          ],
          max_tokens: 9,
        },
        told: json({
          type: 'message',
          content: [{ type: 'text', text: 'ok' }],
          stop_reason: 'end_turn',
        }),
        text: 'ok',
      },
      error: {
        ask: hi,
        told: json(
          { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
          529,
        ),
        error: ['unavailable', /Overloaded/],
      },
    },
  },
  'vertex, Llama everywhere': {
    ...google,
    model: 'vertex_ai/meta/llama-4-scout-17b-16e-instruct-maas',
    params: { ...google.params, vertex_location: 'global' },
    cases: {
      basic: {
        ask: { ...hi, max_completion_tokens: 9 },
        url: 'https://aiplatform.googleapis.com/v1/projects/p1/locations/global/endpoints/openapi/chat/completions',
        sent: { model: 'meta/llama-4-scout-17b-16e-instruct-maas', ...hi, max_tokens: 9 },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
    },
  },
  'vertex, Mistral': {
    ...google,
    model: 'vertex_ai/mistral-medium-3',
    cases: {
      basic: {
        ask: { ...hi, seed: 1 },
        url: `${vertexBase}/publishers/mistralai/models/mistral-medium-3:rawPredict`,
        sent: { model: 'mistral-medium-3', ...hi, random_seed: 1 },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
      stream: {
        ask: { ...hi, stream: true },
        url: `${vertexBase}/publishers/mistralai/models/mistral-medium-3:streamRawPredict`,
        sent: { model: 'mistral-medium-3', ...hi, stream: true },
        told: sse(...chunks, '[DONE]'),
        ...hello,
      },
    },
  },
  'vertex, AI21 in the union': {
    ...google,
    model: 'vertex_ai/jamba-1.5',
    params: { ...google.params, vertex_location: 'eu' },
    cases: {
      basic: {
        ask: hi,
        url: 'https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/p1/locations/eu/publishers/ai21/models/jamba-1.5:rawPredict',
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
    },
  },
  'vertex, an endpoint of the Model Garden': {
    ...google,
    model: 'vertex_ai/openai/1234567890',
    cases: {
      basic: {
        ask: hi,
        url: `${vertexBase}/endpoints/1234567890/chat/completions`,
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
    },
  },
  'vertex, a tuned Gemini': {
    ...google,
    model: 'vertex_ai/1234567890',
    cases: {
      basic: {
        ask: hi,
        url: `${vertexBase}/endpoints/1234567890:generateContent`,
        told: json({
          candidates: [{ content: { parts: [{ text: 'Grüezi' }] }, finishReason: 'STOP' }],
          usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 2 },
        }),
        ...hello,
      },
    },
  },
  fal_ai: {
    model: 'fal_ai/fal-ai/moondream3-preview/query',
    params: { api_key: 'fal-key-1234' },
    headers: { authorization: 'Key fal-key-1234' },
    problem: /no API key/,
    cases: {
      image: {
        ask: { ...image, reasoning_effort: 'high', temperature: 0.5 },
        url: 'https://fal.run/fal-ai/moondream3-preview/query',
        sent: { prompt: 'See?', image_url: url, reasoning: true, temperature: 0.5 },
        told: json({
          output: 'Grüezi',
          reasoning: 'hm',
          finish_reason: 'stop',
          usage_info: { input_tokens: 7, output_tokens: 2 },
        }),
        thought: 'hm',
        ...hello,
      },
      'a stream of one': {
        ask: { ...image, stream: true },
        told: json({ output: 'Grüezi', usage_info: { input_tokens: 7, output_tokens: 2 } }),
        ...hello,
      },
      tools: { ask: { ...image, tools: [look] }, error: ['unsupported_params', /'tools'/] },
      error: {
        ask: image,
        told: json({ detail: [{ loc: ['body', 'image_url'], msg: 'field required' }] }, 422),
        error: ['unprocessable', /field required/],
      },
    },
  },
  bytez: {
    model: 'bytez/google/gemma-3-4b-it',
    params: { api_key: 'bytez-key-1' },
    headers: { authorization: 'Bearer bytez-key-1' },
    problem: /no API key/,
    cases: {
      basic: {
        ask: { ...hi, max_completion_tokens: 3 },
        url: 'https://api.bytez.com/models/v2/openai/v1/chat/completions',
        sent: { model: 'google/gemma-3-4b-it', ...hi, max_tokens: 3 },
        told: json(whole({ content: 'Grüezi' })),
        ...hello,
      },
    },
  },
  manus: {
    model: 'manus/manus-1.6',
    params: { api_key: 'manus-key-1' },
    headers: { api_key: 'manus-key-1' },
    problem: /no API key/,
    cases: {
      basic: {
        ask: hi,
        url: 'https://api.manus.im/v1/responses',
        told: json({
          id: 'r1',
          status: 'completed',
          createdAt: 5,
          output: [
            {
              type: 'message',
              role: 'assistant',
              content: [{ type: 'output_text', text: 'Grüezi' }],
            },
          ],
          usage: { input_tokens: 7, output_tokens: 2 },
        }),
        ...hello,
      },
      failed: {
        ask: hi,
        told: json({ id: 'r1', status: 'error', output: [] }),
        error: ['provider', /the task failed/],
      },
    },
  },
  chatgpt: {
    model: 'chatgpt/gpt-5.1-codex',
    env: {
      CHATGPT_TOKEN_DIR: '/login',
      'file:/login/auth.json': JSON.stringify({
        access_token: 't-1234567890',
        account_id: 'acc-1',
        expires_at: 1_900_000_000,
      }),
    },
    headers: {
      ...bearer,
      accept: 'text/event-stream',
      'chatgpt-account-id': 'acc-1',
      originator: 'codex_cli_rs',
      session_id: /^[\da-f-]{36}$/,
    },
    problem: /set CHATGPT_TOKEN_DIR/,
    cases: {
      'whole, out of a stream': {
        ask: textMessages,
        url: 'https://chatgpt.com/backend-api/codex/responses',
        told: sse(
          { type: 'response.created', response: { id: 'r1', model: 'm' } },
          {
            type: 'response.output_item.added',
            output_index: 0,
            item: { type: 'message', id: 'i1', role: 'assistant', content: [] },
          },
          {
            type: 'response.output_text.delta',
            output_index: 0,
            content_index: 0,
            item_id: 'i1',
            delta: 'Grüezi',
          },
          {
            type: 'response.completed',
            response: {
              id: 'r1',
              status: 'completed',
              usage: { input_tokens: 7, output_tokens: 2 },
            },
          },
        ),
        ...hello,
      },
      error: {
        ask: hi,
        told: json({ detail: 'Instructions are not valid' }, 400),
        error: ['bad_request', /Instructions are not valid/],
      },
    },
  },
}

for (const [name, provider] of Object.entries(providers))
  describe(name, () => {
    for (const [title, one] of Object.entries(provider.cases))
      it(title, async () => {
        const to = deploymentOf(provider)
        assert.equal(to.problem, undefined)
        const heard = reach(to, { model: 'public', ...one.ask }, [one.told ?? json({})])
        if (one.error) {
          const [kind, words] = one.error
          await assert.rejects(heard, (error) => {
            assert.ok(GatewayError.is(error), String(error))
            assert.deepEqual([error.kind, words.test(error.message)], [kind, true], error.message)
            return true
          })
          return
        }
        const { asked, ...got } = await heard
        const [sent] = asked
        assert.ok(sent)
        if (one.url) assert.equal(sent.url, one.url)
        const body = JSON.parse(sent.body instanceof Uint8Array ? utf8(sent.body) : '')
        if (one.sent) assert.deepEqual(body, JSON.parse(JSON.stringify(one.sent)))
        const { 'content-type': _, ...headers } = sent.headers
        assert.deepEqual(Object.keys(headers).sort(), Object.keys(provider.headers).sort())
        for (const [header, expected] of Object.entries(provider.headers))
          if (typeof expected === 'string') assert.equal(headers[header], expected)
          else assert.match(headers[header] ?? '', expected)
        assert.equal(got.text, one.text ?? '')
        assert.equal(got.thought, one.thought ?? '')
        assert.deepEqual(got.calls, one.calls ?? [])
        if (one.finish) assert.equal(got.finish, one.finish)
        if (one.usage)
          assert.deepEqual([got.usage.prompt_tokens, got.usage.completion_tokens], one.usage)
      })
    if (provider.problem.source !== '^$')
      it('without settings: what to set', () => {
        const { problem } = deploymentOf({ model: provider.model })
        assert.match(problem?.message ?? '', provider.problem)
      })
  })
