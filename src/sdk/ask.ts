import { embeddings } from '../wire/media/embeddings.ts'
import { imageEdit, imageGeneration, imageVariation } from '../wire/media/images.ts'
import { moderation } from '../wire/media/moderation.ts'
import { ocr } from '../wire/media/ocr.ts'
import type { Operation } from '../wire/media/operation.ts'
import { rerank } from '../wire/media/rerank.ts'
import { speech } from '../wire/media/speech.ts'
import { transcription } from '../wire/media/transcription.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { type Call, complete } from './complete.ts'
import { type Asking, readOptions, type Said } from './options.ts'
import { perform } from './perform.ts'
import type { Room } from './room.ts'
import type { Asks } from './types.ts'

/** Everything that asks a model, one row each: a conversation in the words of a wire, or an operation. */
type Row = Omit<Asking, 'name' | 'parameters'> & { parameters: string } & (
    | { wire: Wire }
    | { operation: Operation; audio?: true }
  )

const rows: { readonly [Name in keyof Asks]: Row } = {
  completion: { wire: wires['openai-chat'], streams: true, parameters: '' },
  textCompletion: { wire: wires['openai-text'], streams: true, parameters: '' },
  responses: {
    wire: wires['openai-responses'],
    streams: true,
    keepsMetadata: true,
    parameters: `input previous_response_id max_tool_calls conversation background prompt_cache_key`,
  },
  embedding: { operation: embeddings, parameters: 'input task_type' },
  imageGeneration: {
    operation: imageGeneration,
    parameters: 'partial_images aspect_ratio negative_prompt',
  },
  imageEdit: {
    operation: imageEdit,
    files: new Set(['image', 'mask']),
    parameters: 'input_fidelity',
  },
  imageVariation: { operation: imageVariation, files: new Set(['image']), parameters: '' },
  speech: {
    operation: speech,
    parameters: 'input stream_format voice_settings audio_setting',
  },
  transcription: {
    operation: transcription,
    files: new Set(['file']),
    audio: true,
    parameters: 'timestamp_granularities chunking_strategy known_speaker_names',
  },
  rerank: { operation: rerank, parameters: 'query rank_fields max_tokens_per_doc' },
  moderation: { operation: moderation, model: 'omni-moderation-latest', parameters: 'input' },
  ocr: {
    operation: ocr,
    parameters:
      'document include_image_base64 image_limit image_min_size document_annotation_format',
  },
}

/** The keys of the table above. */
export const askNames = Object.keys(rows) as (keyof Asks)[]

/** All of them, asking whoever `place` finds for a call. */
export function asksOf(place: (said: Said) => Omit<Call, 'said' | 'wire'>, room: Room): Asks {
  const made = Object.entries(rows).map(([name, { parameters, ...row }]) => {
    const asking: Asking = { ...row, name, parameters: new Set(parameters.split(/\s+/)) }
    const ask = async (options: unknown): Promise<unknown> => {
      const said = readOptions(options, asking, room.warn)
      const found = place(said)
      if ('wire' in row) return complete({ ...found, said, wire: row.wire }, room)
      return perform({ ...found, said }, row, room)
    }
    return [name, ask]
  })
  // What comes of each is said by the types of its options: whole, streamed, or its own kind of answer.
  return Object.fromEntries(made) as Asks
}
