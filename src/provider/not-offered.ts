import type { Operation } from './spec.ts'

/** Prefixes of LiteLLM's that lead to no model here: why, and what to do instead where there is something. */
export const notOffered: Readonly<Record<string, string>> = {
  a2a: 'an agent is no model: agents are asked by their own protocol, not as chat',
  a2a_agent: "LiteLLM's own label for calls of agents",
  aleph_alpha:
    "the old API goes on with a text and takes no messages: newer installations speak OpenAI's, use openai/ with api_base",
  anthropic_text: 'text completions are of models that are gone: use anthropic/',
  auto_router: 'it picks among models by their content: name the model, or a group of models',
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
  vllm: 'a library within a Python process: start the vLLM server and use hosted_vllm/',

  aws_textract:
    'its answers are blocks on a page and no text in reading order: use an OCR model, such as mistral/ or azure_ai/',
  azure_text: "LiteLLM's label for Azure's legacy completions: azure/ takes /v1/completions too",
  nvidia_riva:
    'speech recognition over gRPC, which is not spoken here: its NIM over HTTP is nvidia_nim/',
  reducto:
    'documents are uploaded to it first and read with options of its own: use another OCR model',
  transcribe:
    "Amazon's jobs read recordings from S3 and write there, which needs a bucket and rights the gateway has not: use another model for transcription",
  valkey: 'it is asked over a protocol of its own, which is not spoken here: ask it directly',
}

/** Models of a provider on offer that are not: the beginning of the name, and why. */
export const modelsNotOffered: Readonly<
  Record<string, readonly { begins: string; why: string }[]>
> = {
  bedrock: [
    {
      begins: 'agent/',
      why: 'an agent is no model, and keeps a session for each who asks: ask it at /bedrock/agents/…',
    },
    {
      begins: 'agentcore/',
      why: "an agent is no model, and each has words of its own: ask its runtime, or offer it in OpenAI's words and use openai/ with api_base",
    },
    {
      begins: 'async_invoke/',
      why: 'such jobs read and write S3: they are asked for at /bedrock/…',
    },
    {
      begins: 'claude_platform/',
      why: "Anthropic's own platform, sold by AWS: use anthropic/ with api_base and its API key",
    },
  ],
}

/** Sandboxes of LiteLLM's that run code; none is offered here. */
export const sandboxesNotOffered: readonly string[] = ['e2b', 'opensandbox']

/** What LiteLLM offers at a provider that is on offer here, and this gateway does not. */
export const operationsNotOffered: Readonly<
  Record<string, Readonly<Partial<Record<Operation | 'rag', string>>>>
> = {
  bedrock: {
    rag: "LiteLLM's own path: knowledge bases are filled in AWS, and searched at /v1/vector_stores",
  },
  gemini: {
    rag: "LiteLLM's own path: file search stores and their files are at /v1/vector_stores",
  },
  manus: { files: 'files are kept for its agents: they are sent with the conversation' },
  openai: {
    rag: "LiteLLM's own path: vector stores and files are at /v1/vector_stores and /v1/files",
  },
  'text-completion-openai': Object.fromEntries(
    ['transcription', 'speech', 'moderation', 'batch'].map((one) => [one, 'use openai/']),
  ),
  vertex_ai: {
    rag: "LiteLLM's own path: corpora are at /v1/vector_stores, and filled at /vertex_ai/…",
  },
}
