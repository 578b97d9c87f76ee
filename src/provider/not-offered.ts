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
}
