import { bedrockStores, s3Vectors } from './store-aws-wires.ts'
import { geminiStores } from './store-gemini-wires.ts'
import { azureSearch, milvus, mongodb, ragflow } from './store-index-wires.ts'
import { vertexStores } from './store-vertex-wires.ts'
import type { StoreWire } from './stores.ts'

/** Vector stores by the name a provider's row gives its way. */
export const storeWires = {
  gemini: geminiStores,
  vertex: vertexStores,
  bedrock: bedrockStores,
  's3-vectors': s3Vectors,
  milvus,
  'azure-search': azureSearch,
  mongodb,
  ragflow,
} satisfies Record<string, StoreWire>

export const isStoreWire = (wire: string): wire is keyof typeof storeWires =>
  Object.hasOwn(storeWires, wire)
