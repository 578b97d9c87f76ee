import { bedrockBatch } from './bedrock-batch.ts'
import type { Cloud } from './cloud.ts'
import { geminiBatch } from './gemini-batch.ts'
import { geminiFiles } from './gemini-files.ts'
import { vertexBatch } from './vertex-batch.ts'

/** Whose batches read their requests from a bucket, or from files of the provider's own. */
export const cloudWires = {
  bedrock: bedrockBatch,
  vertex: vertexBatch,
  gemini: { ...geminiBatch, own: geminiFiles },
} satisfies Record<string, Cloud>

export const isCloudWire = (wire: string): wire is keyof typeof cloudWires =>
  Object.hasOwn(cloudWires, wire)
