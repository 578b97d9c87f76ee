import type { cloudWires } from './cloud-wires.ts'
import type { embeddingCloudWires } from './embedding-cloud-wires.ts'
import type { embeddingWires } from './embedding-wires.ts'
import type { imageWires } from './image-wires.ts'

import type { searchWires } from './search-wires.ts'
import type { speechCloudWires } from './speech-cloud-wires.ts'
import type { storeWires } from './store-wires.ts'
import type { transcriptionCloudWires } from './transcription-cloud-wires.ts'
import type { transcriptionWires } from './transcription-wires.ts'
import type { videoWires } from './video-wires.ts'

/** How a provider speaks what is not chat: by operation, the ways there are (see the files of the operations). */
export type Also = {
  embeddings?:
    | 'openai'
    | 'v1'
    | 'voyage'
    | 'jina'
    | keyof typeof embeddingWires
    | keyof typeof embeddingCloudWires
  rerank?:
    | 'cohere'
    | 'azure'
    | 'dashscope'
    | 'voyage'
    | 'bedrock'
    | 'vertex'
    | 'tei'
    | 'nvidia'
    | 'deepinfra'
    | 'watsonx'
  moderation?: 'openai'
  ocr?: 'openai' | 'azure' | 'vertex' | 'cohere'
  image?: 'openai' | keyof typeof imageWires
  image_edit?: 'openai' | 'recraft' | keyof typeof imageWires
  image_variation?: 'openai' | keyof typeof imageWires
  speech?:
    | 'openai'
    | 'elevenlabs'
    | 'gemini'
    | 'chirp'
    | 'minimax'
    | 'mistral'
    | keyof typeof speechCloudWires
  transcription?:
    | 'openai'
    | 'deepgram'
    | 'elevenlabs'
    | 'xai'
    | keyof typeof transcriptionWires
    | keyof typeof transcriptionCloudWires
  files?: 'openai' | 'anthropic' | keyof typeof cloudWires
  fine_tuning?: 'openai' | 'vertex'
  batch?: 'openai' | 'anthropic' | keyof typeof cloudWires
  video?: 'openai' | keyof typeof videoWires
  search?: keyof typeof searchWires
  vector_stores?: 'openai' | keyof typeof storeWires
}
