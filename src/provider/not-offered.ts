import type { Operation } from './spec.ts'

/** Prefixes of LiteLLM's that lead to no model here: why, and what to do instead where there is something. */
export const notOffered: Readonly<Record<string, string>> = {
  a2a: 'an agent is no model: agents are asked by their own protocol, not as chat',
  a2a_agent: "LiteLLM's own label for calls of agents",
  aleph_alpha:
    "the old API goes on with a text and takes no messages: newer installations speak OpenAI's, use openai/ with api_base",
  anthropic_text: 'text completions are of models that are gone: use anthropic/',
  auto_router: 'it picks among models by their content: name the model, or a group of models',
  cursor: "Cursor's cloud agents are no models: they are not asked as chat",
  custom:
    'a handler written in Python cannot run in this process: offer it over HTTP and use openai/ with api_base',
  dotprompt: 'prompts kept in files are not offered: send the messages',
  humanloop: 'prompts kept by Humanloop are not offered: send the messages',
  langflow: 'a flow is no model: use its OpenAI-compatible address as openai/ with api_base',
  langfuse: 'prompts kept by Langfuse are not offered: send the messages',
  langgraph: 'a graph is no model: graphs are asked by their own protocol, not as chat',
  litellm_agent: "LiteLLM's own label for its agents",
  nlp_cloud: 'its text generation takes a text and no messages: use a provider that chats',
  petals:
    'a library within a Python process, or a server that goes on with a text and takes no messages',
  strands_decider: 'it decides about calls and answers none',
  typesafe: 'it decides about calls and answers none',
  vllm: 'a library within a Python process: start the vLLM server and use hosted_vllm/',

  aws_textract:
    'its answers are blocks on a page and no text in reading order: use an OCR model, such as mistral/ or azure_ai/',
  azure_text: "LiteLLM's label for Azure's legacy completions: azure/ takes /v1/completions too",
  milvus: 'a vector database is no provider of models: ask it directly',
  mongodb: 'a vector database is no provider of models: ask it directly',
  nvidia_riva:
    'speech recognition over gRPC, which is not spoken here: its NIM over HTTP is nvidia_nim/',
  pg_vector: 'a vector database is no provider of models: ask it directly',
  reducto:
    'documents are uploaded to it first and read with options of its own: use another OCR model',
  s3_vectors: 'a vector database is no provider of models: ask it directly',
  transcribe:
    "Amazon's jobs read recordings from S3 and write there, which needs a bucket and rights the gateway has not: use another model for transcription",
  valkey: 'a vector database is no provider of models: ask it directly',
}

/** Sandboxes of LiteLLM's that run code; none is offered here. */
export const sandboxesNotOffered: readonly string[] = ['e2b', 'opensandbox']

/** What LiteLLM offers at a provider that is on offer here, and this gateway does not. */
export const operationsNotOffered: Readonly<
  Record<string, Readonly<Partial<Record<Operation | 'rag', string>>>>
> = {
  bedrock: {
    vector_stores: 'knowledge bases are asked at /bedrock/…',
    rag: 'knowledge bases are asked at /bedrock/…',
  },
  gemini: {
    vector_stores: 'file search stores are asked for at /gemini/…',
    rag: 'file search stores are asked for at /gemini/…',
  },
  manus: { files: 'files are kept for its agents: they are sent with the conversation' },
  openai: {
    rag: "LiteLLM's own path: vector stores and files are at /v1/vector_stores and /v1/files",
  },
  'text-completion-openai': Object.fromEntries(
    ['transcription', 'speech', 'moderation', 'batch'].map((one) => [one, 'use openai/']),
  ),
  vertex_ai: {
    fine_tuning: 'tuning jobs read Cloud Storage: ask for them at /vertex_ai/…',
    vector_stores: 'RAG corpora are asked for at /vertex_ai/…',
    rag: 'RAG corpora are asked for at /vertex_ai/…',
  },
}
