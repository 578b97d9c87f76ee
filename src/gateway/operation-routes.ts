import { embeddings } from '../wire/media/embeddings.ts'
import { batchEmbedContents, embedContent } from '../wire/media/gemini-embeddings.ts'
import { imageEdit, imageGeneration, imageVariation } from '../wire/media/images.ts'
import { moderation } from '../wire/media/moderation.ts'
import { ocr } from '../wire/media/ocr.ts'
import type { Operation } from '../wire/media/operation.ts'
import { rerank } from '../wire/media/rerank.ts'
import { speech } from '../wire/media/speech.ts'
import { transcription, translation } from '../wire/media/transcription.ts'
import { wires } from '../wire/wires.ts'
import { serveChat } from './chat.ts'
import { serveOperation } from './operation.ts'
import {
  completionRequest,
  embeddingsAnswer,
  embeddingsRequest,
  imageAnswer,
  imageRequest,
  moderationRequest,
  rerankAnswer,
  rerankRequest,
  speechRequest,
} from './operation-schemas.ts'
import type { Route, Visit } from './routes.ts'

type Row = Pick<Route, 'summary' | 'input' | 'output'> & { otherwise?: string }

/** One operation: OpenAI's paths with and without the version, and those that name the model. */
function posts(operation: Operation, name: string, row: Row): Route[] {
  const { otherwise, ...said } = row
  const run = ({ incoming, rooms, caller, params }: Visit) =>
    serveOperation(incoming, operation, rooms, caller, {
      ...(params['model'] !== undefined && { model: params['model'] }),
      ...(otherwise !== undefined && { otherwise }),
    })
  return [
    `/v1${name}`,
    name,
    `/openai/deployments/{model+}${name}`,
    `/engines/{model+}${name}`,
  ].map((path) => ({ method: 'POST', path, permission: 'llm', ...said, run }))
}

const text = ({ incoming, rooms, caller, params }: Visit) =>
  serveChat(
    incoming,
    wires['openai-text'],
    rooms,
    caller,
    params['model'] === undefined ? {} : { model: params['model'] },
  )

export const operationRoutes: readonly Route[] = [
  ...[
    '/v1/completions',
    '/completions',
    '/openai/deployments/{model+}/completions',
    '/engines/{model+}/completions',
  ].map(
    (path): Route => ({
      method: 'POST',
      path,
      permission: 'llm',
      summary: 'Legacy text completion',
      input: completionRequest,
      run: text,
    }),
  ),
  ...posts(embeddings, '/embeddings', {
    summary: 'Embeddings',
    input: embeddingsRequest,
    output: embeddingsAnswer,
  }),
  ...posts(imageGeneration, '/images/generations', {
    summary: 'Pictures from a text',
    input: imageRequest,
    output: imageAnswer,
  }),
  ...posts(imageEdit, '/images/edits', { summary: 'Pictures from pictures (a form)' }),
  ...posts(imageVariation, '/images/variations', { summary: 'Variations of a picture (a form)' }),
  ...posts(speech, '/audio/speech', { summary: 'Speech, as it is made', input: speechRequest }),
  ...posts(transcription, '/audio/transcriptions', { summary: 'What a recording says (a form)' }),
  ...posts(translation, '/audio/translations', {
    summary: 'What a recording says, in English (a form)',
  }),
  ...posts(moderation, '/moderations', {
    summary: 'Moderation',
    input: moderationRequest,
    otherwise: 'omni-moderation-latest',
  }),
  ...['/v1/ocr', '/ocr'].map(
    (path): Route => ({
      method: 'POST',
      path,
      permission: 'llm',
      summary: 'What a document says, page by page',
      run: ({ incoming, rooms, caller }) => serveOperation(incoming, ocr, rooms, caller),
    }),
  ),
  ...(
    [
      ['embedContent', embedContent],
      ['batchEmbedContents', batchEmbedContents],
    ] as const
  ).flatMap(([name, operation]) =>
    ['/v1beta/models', '/v1/models', '/models'].map(
      (path): Route => ({
        method: 'POST',
        path: `${path}/{model+}:${name}`,
        permission: 'llm',
        summary: `Google's ${name}`,
        dialect: wires.gemini,
        run: ({ incoming, rooms, caller, params }) =>
          serveOperation(incoming, operation, rooms, caller, { model: params['model'] ?? '' }),
      }),
    ),
  ),
  ...['/v1/rerank', '/rerank', '/v2/rerank'].map(
    (path): Route => ({
      method: 'POST',
      path,
      permission: 'llm',
      summary: "Cohere's rerank",
      input: rerankRequest,
      output: rerankAnswer,
      run: ({ incoming, rooms, caller }) => serveOperation(incoming, rerank, rooms, caller),
    }),
  ),
]
