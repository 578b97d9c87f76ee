import { anthropic } from './anthropic/wire.ts'
import { bedrockConverse } from './bedrock-converse/wire.ts'
import { bedrockInvoke } from './bedrock-invoke/wire.ts'
import { bedrockChat, bedrockOpenAI } from './bedrock-openai/wire.ts'
import { bedrockPegasus } from './bedrock-pegasus/wire.ts'
import { chatgpt } from './chatgpt/wire.ts'
import { cohere } from './cohere/wire.ts'
import { cohereV1 } from './cohere-v1/wire.ts'
import { fal } from './fal/wire.ts'
import { gemini } from './gemini/wire.ts'
import { gigachat } from './gigachat/wire.ts'
import { manus } from './manus/wire.ts'
import { oci } from './oci/wire.ts'
import { ollama } from './ollama/wire.ts'
import { openaiChat } from './openai-chat/wire.ts'
import { openaiResponses } from './openai-responses/wire.ts'
import { openaiText } from './openai-text/wire.ts'
import { replicate } from './replicate/wire.ts'
import { sagemaker, sagemakerChat } from './sagemaker/wire.ts'
import { sap } from './sap/wire.ts'
import { tgi } from './tgi/wire.ts'
import { triton, tritonInfer } from './triton/wire.ts'
import { vertexAnthropic } from './vertex-anthropic/wire.ts'
import { vertexEndpoint, vertexPredict } from './vertex-endpoint/wire.ts'
import { watsonx } from './watsonx/wire.ts'
import { watsonxText } from './watsonx-text/wire.ts'
import type { ProviderWire } from './wire.ts'

/** Every way of saying chat the house understands. */
export const wires = {
  'openai-chat': openaiChat,
  'openai-responses': openaiResponses,
  'openai-text': openaiText,
  anthropic,
  'bedrock-converse': bedrockConverse,
  'bedrock-invoke': bedrockInvoke,
  'bedrock-chat': bedrockChat,
  'bedrock-openai': bedrockOpenAI,
  'bedrock-pegasus': bedrockPegasus,
  cohere,
  'cohere-v1': cohereV1,
  gemini,
  ollama,
  replicate,
  chatgpt,
  fal,
  gigachat,
  manus,
  oci,
  sagemaker,
  'sagemaker-chat': sagemakerChat,
  sap,
  tgi,
  triton,
  'triton-infer': tritonInfer,
  'vertex-anthropic': vertexAnthropic,
  'vertex-endpoint': vertexEndpoint,
  'vertex-predict': vertexPredict,
  watsonx,
  'watsonx-text': watsonxText,
} as const satisfies Record<string, ProviderWire>

export type WireId = keyof typeof wires
