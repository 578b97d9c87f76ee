import fc from 'fast-check'
import type { ChatResult, Part } from '../../chat/chat.ts'
import { type JsonObject, list, object, text } from '../../json/json.ts'
import { context, inputRecords, targetsOf, wildJson } from '../testing.test.ts'
import type { Frame } from '../wire.ts'

export const targetOf = targetsOf('gemini')

/** What a client reads from the bytes of a stream: one line of data an event, as this wire writes it. */
export const framesOf = (stream: string): Frame[] =>
  stream
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      if (!block.startsWith('data: ') || block.includes('\n')) throw new Error(`no event: ${block}`)
      return { event: undefined, data: block.slice(6) }
    })

export const framed = (chunks: readonly JsonObject[]): Frame[] =>
  chunks.map((chunk) => ({ event: undefined, data: JSON.stringify(chunk) }))

/** The grammar of Gemini's streams; answers with the parts of the first candidate, and the last chunk. */
export function readGrammar(frames: readonly Frame[]): { parts: JsonObject[]; last: JsonObject } {
  const law = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`${what}: ${frames.map((frame) => frame.data).join('\n')}`)
  }
  const parts: JsonObject[] = []
  let last: JsonObject = {}
  let ended = false
  for (const { data } of frames) {
    law(!ended, 'nothing follows the end')
    last = object(JSON.parse(data))
    law(last.modelVersion === context.model, 'every chunk names the public model')
    law(typeof last.responseId === 'string', 'every chunk has the id')
    const candidates = list(last.candidates).map(object)
    law(candidates.length > 0, 'every chunk has candidates')
    for (const candidate of candidates) {
      const content = object(candidate.content)
      law(content.role === 'model', 'the model speaks')
      law(
        list(content.parts).length > 0,
        'the official clients call a content without parts broken',
      )
      if (candidate.index === 0) parts.push(...list(content.parts).map(object))
      if (candidate.finishReason !== undefined) ended = true
    }
    law((last.usageMetadata !== undefined) === ended, 'usage is in the last chunk')
  }
  law(ended, 'the end comes')
  return { parts: parts.filter((part) => part.text !== '' || part.thoughtSignature), last }
}

const word = fc.string({ minLength: 1, maxLength: 12 }).map((said) => `w${said}w`)
const signature = fc.base64String({ minLength: 4, maxLength: 24 })
const name = fc.stringMatching(/^[a-z_]{1,9}$/)
const picture: Part = {
  type: 'media',
  media: 'image',
  source: { type: 'bytes', mime: 'image/png', base64: 'iVBORw0K' },
}

/** Parts of an answer that this wire can tell; no two texts or thoughts touch, since a stream joins them. */
export const answerParts: fc.Arbitrary<Part[]> = fc
  .array(
    fc.oneof(
      word.map((said): Part => ({ type: 'text', text: said })),
      word.map((said): Part => ({ type: 'reasoning', text: said })),
      fc
        .tuple(word, signature)
        .map(([said, sign]): Part => ({ type: 'reasoning', text: said, signature: sign })),
      fc.tuple(name, inputRecords, fc.option(signature, { nil: undefined })).map(
        ([called, input, sign]): Part => ({
          type: 'tool-call',
          id: `call_${called}`,
          name: called,
          input: JSON.stringify(input),
          ...(sign !== undefined && { signature: sign }),
        }),
      ),
      fc.constant(picture),
      fc.constant<Part>({
        type: 'raw',
        wire: 'gemini',
        value: { executableCode: { language: 'PYTHON', code: 'print(1)' } },
      }),
    ),
    { maxLength: 7 },
  )
  .map((parts) => parts.filter((part, at) => !touches(part, parts[at - 1])))

const touches = (part: Part, before: Part | undefined): boolean =>
  (part.type === 'text' && before?.type === 'text') ||
  (part.type === 'reasoning' && before?.type === 'reasoning')

export const answers: fc.Arbitrary<ChatResult> = fc
  .tuple(
    answerParts,
    fc.record({
      input: fc.nat(9999),
      cacheRead: fc.nat(9999),
      inputAudio: fc.nat(99),
      inputImage: fc.nat(99),
      output: fc.nat(9999),
      reasoning: fc.nat(999),
      outputAudio: fc.nat(9),
      outputImage: fc.nat(99),
    }),
    fc.constantFrom('stop', 'length', 'content-filter', 'other'),
  )
  .map(([parts, counts, end]) => {
    const called = parts.some((part) => part.type === 'tool-call')
    const finish = end === 'stop' && called ? ('tool-calls' as const) : end
    const reason = {
      stop: 'STOP',
      length: 'MAX_TOKENS',
      'content-filter': 'SAFETY',
      other: 'OTHER',
    }
    return {
      id: 'resp_1',
      created: 0,
      model: 'm',
      choices: [{ parts, finish, reason: reason[end] }],
      usage: { ...counts, cacheWrite: 0, cacheWrite1h: 0, searches: 0 },
    }
  })

const said = word.map((text): JsonObject => ({ text }))
const shown = fc.constantFrom<JsonObject>(
  { inlineData: { mimeType: 'image/png', data: 'iVBORw0K' } },
  { inlineData: { mimeType: 'audio/wav', data: 'UklGRg==' } },
  { inlineData: { mimeType: 'application/pdf', data: 'JVBERi0=' } },
  { fileData: { fileUri: 'gs://bucket/a.mp4', mimeType: 'video/mp4' }, videoMetadata: { fps: 2 } },
  {
    fileData: {
      fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/abc',
      mimeType: 'image/jpeg',
    },
  },
)

/** Requests in the form this wire writes for a Gemini 3, with everything Gemini can say of a conversation. */
export const requestBodies: fc.Arbitrary<JsonObject> = fc
  .record({
    system: fc.array(said, { maxLength: 2 }),
    rounds: fc.array(
      fc.record({
        ask: fc.array(fc.oneof(said, shown), { minLength: 1, maxLength: 3 }),
        thought: fc.option(word, { nil: undefined }),
        say: fc.option(fc.tuple(word, fc.option(signature, { nil: undefined })), {
          nil: undefined,
        }),
        calls: fc.array(inputRecords, { maxLength: 2 }),
        sign: signature,
        result: fc.oneof(
          word.map((result): JsonObject => ({ result })),
          word.map((error): JsonObject => ({ error })),
          fc.constant<JsonObject>({ temperature: 20, unit: 'c' }),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    tools: fc.boolean(),
    choice: fc.constantFrom<JsonObject | undefined>(
      undefined,
      { mode: 'AUTO' },
      { mode: 'NONE' },
      { mode: 'ANY' },
      { mode: 'ANY', allowedFunctionNames: ['look'] },
    ),
    config: fc.constantFrom<JsonObject | undefined>(
      undefined,
      { maxOutputTokens: 100, temperature: 0.5, topP: 0.9, topK: 5, seed: 3, candidateCount: 2 },
      { stopSequences: ['END'], presencePenalty: 0.5, frequencyPenalty: -1 },
      { responseLogprobs: true, logprobs: 3 },
      { responseMimeType: 'application/json' },
      {
        responseMimeType: 'application/json',
        responseSchema: {
          type: 'OBJECT',
          properties: {
            a: { type: 'STRING', nullable: true },
            b: { type: 'ARRAY', items: { type: 'INTEGER' } },
          },
          required: ['a'],
          propertyOrdering: ['a', 'b'],
        },
      },
      { responseModalities: ['TEXT', 'IMAGE'], imageConfig: { aspectRatio: '16:9' } },
      { thinkingConfig: { thinkingLevel: 'LOW', includeThoughts: true } },
      { thinkingConfig: { includeThoughts: true, thinkingLevel: 'HIGH' }, mediaResolution: 'LOW' },
      {
        responseModalities: ['AUDIO'],
        speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: 'Kore' } } },
      },
    ),
    more: fc.constantFrom<JsonObject>(
      {},
      { safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'BLOCK_NONE' }] },
      { cachedContent: 'cachedContents/a', labels: { team_name: 'x' }, brandNew: { deep_er: [1] } },
    ),
  })
  .map(({ system, rounds, tools, choice, config, more }) => {
    const contents: JsonObject[] = []
    let calls = 0
    for (const round of rounds) {
      contents.push({ role: 'user', parts: round.ask })
      const parts: JsonObject[] = []
      if (round.thought !== undefined) parts.push({ text: round.thought, thought: true })
      if (round.say)
        parts.push({ text: round.say[0], ...(round.say[1] && { thoughtSignature: round.say[1] }) })
      const made = round.calls.map(
        (args, at): JsonObject => ({
          functionCall: { id: `c${calls++}`, name: 'look', args },
          ...(at === 0 && { thoughtSignature: round.sign }),
        }),
      )
      parts.push(...made)
      if (parts.length === 0) parts.push({ text: 'hm' })
      contents.push({ role: 'model', parts })
      if (made.length > 0)
        contents.push({
          role: 'user',
          parts: made.map(({ functionCall }) => ({
            functionResponse: { id: object(functionCall).id, name: 'look', response: round.result },
          })),
        })
    }
    contents.push({ role: 'user', parts: [{ text: 'so?' }] })
    const last = contents.at(-2)
    if (last?.role === 'user' && !list(last.parts).some((part) => object(part).functionResponse))
      contents.pop()
    return {
      contents,
      ...(system.length > 0 && { systemInstruction: { parts: system } }),
      ...(tools && {
        tools: [
          {
            functionDeclarations: [
              {
                name: 'look',
                description: 'Looks',
                parameters: {
                  type: 'OBJECT',
                  properties: {
                    at: { type: 'STRING', enum: ['x', 'y'], description: 'Where' },
                    how: { anyOf: [{ type: 'STRING' }, { type: 'INTEGER', minimum: 1 }] },
                    when: { type: 'STRING', format: 'date-time', minLength: 1 },
                  },
                  required: ['at'],
                },
              },
              {
                name: 'map',
                parametersJsonSchema: {
                  type: 'object',
                  properties: { a: { $ref: '#/$defs/node' } },
                  additionalProperties: { type: 'string' },
                  $defs: {
                    node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } } },
                  },
                },
              },
            ],
          },
        ],
        ...(choice && { toolConfig: { functionCallingConfig: choice } }),
      }),
      ...(config && { generationConfig: config }),
      ...more,
    }
  })

/** JSON that looks like this wire's: real keys and types, any values. */
export const wildBodies = wildJson(
  `contents role parts text thought thoughtSignature thought_signature functionCall functionResponse name args id
  response output error inlineData inline_data mimeType data fileData fileUri executableCode systemInstruction
  tools functionDeclarations parameters parametersJsonSchema toolConfig functionCallingConfig mode
  allowedFunctionNames generationConfig responseSchema responseJsonSchema thinkingConfig thinkingLevel
  thinkingBudget stopSequences temperature candidateCount type properties items anyOf allOf $ref $defs a enum
  const nullable required format propertyOrdering additionalProperties candidates content finishReason index
  groundingMetadata groundingChunks groundingSupports segment startIndex endIndex groundingChunkIndices web uri
  citationMetadata citations logprobsResult chosenCandidates topCandidates usageMetadata promptTokenCount
  cachedContentTokenCount candidatesTokenCount thoughtsTokenCount totalTokenCount promptTokensDetails modality
  tokenCount promptFeedback blockReason modelVersion responseId createTime code message status details retryDelay
  model stream constructor`,
  `text user model OBJECT array STOP ANY # #/$defs/a INTERNAL constructor __proto__ 12s`,
)

export const textIn = (parts: readonly JsonObject[], thought: boolean): string =>
  parts
    .filter((part) => (part.thought === true) === thought)
    .map((part) => text(part.text) ?? '')
    .join('')
