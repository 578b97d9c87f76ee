/**
 * Known ways in which a provider differs from the wire it says it speaks. Each is a named fact with one reader;
 * rows (provider/providers.ts) state them, wires read them.
 */
export type Quirks = {
  /** Which of the two spellings the provider takes; the other is renamed to it. */
  maxTokensField?: 'max_tokens' | 'max_completion_tokens'
  /** `developer` is not understood: sent as `system` (or the other way round). */
  systemRole?: 'system' | 'developer'
  /** Where the provider's answers carry thoughts, if not in `reasoning_content`. */
  reasoningField?: 'reasoning' | 'reasoning_text'
  /** Thoughts in the history are refused: they are taken out of assistant messages. */
  dropReasoningHistory?: boolean
  /** Parameters the provider refuses: 400 that names them, or dropped with drop_params. */
  unsupported?: readonly string[]
  /** Parameters the provider answers with a 400 of its own: sent, so that it says so, or left out with drop_params. */
  refusedThere?: readonly string[]
  /** Parameters by another name. */
  rename?: Readonly<Record<string, string>>
  /** `tool_choice: "required"` is spelt `any`. */
  toolChoiceAny?: boolean
  /** Message content must be one string: text parts are joined. */
  flattenText?: boolean
  /** Content of a tool result must be text. */
  flattenToolResults?: boolean
  /** An id of a tool call must be nine letters or digits (Mistral's error 3280, 2026-11): others are replaced, always alike. */
  nineCharCallIds?: boolean
  /** Mistral's words for files: `document_url` with its name, and `file_id` beside the type (docs.mistral.ai, ContentChunk, 2026-11). */
  filesAsDocuments?: boolean
  /** `strict` in tools is refused: taken out. */
  dropStrict?: boolean
  /** `name` of messages is refused except where listed. */
  dropMessageNames?: boolean
  /** Does not know `stream_options`: usage cannot be asked for. */
  noStreamUsage?: boolean
  /** `response_format: json_schema` is spelt `json_object` with the schema beside it. */
  schemaAsJsonObject?: boolean
  /** Answers' `content` may be a list of parts (text, reasoning, thinking). */
  contentParts?: boolean
  /** Takes `reasoning_effort` as `thinking: {type}` (enabled or disabled). */
  effortAsThinking?: boolean
  /** Takes `reasoning_effort` as `enable_thinking` true or false. */
  effortAsEnableThinking?: boolean
  /** `user` and `metadata` are refused: taken out. */
  dropBookkeeping?: boolean
  /** n > 1 is refused by the provider. */
  singleChoice?: boolean
  /** Empty `tools` lists are refused: taken out, with their tool_choice. Everyone refuses them but some only with history. */
  keepEmptyTools?: boolean
  /**
   * Sampling parameters that may only stay at this value: that value is taken out, since it changes nothing, and
   * another is refused as `unsupported` is (or dropped with drop_params).
   */
  onlyDefault?: Readonly<Record<string, number | boolean>>
  /**
   * `onlyDefault` does not hold while the model does not reason: with `reasoning_effort: "none"`, and for
   * `none-or-unset` also without any effort, because `none` is what the model starts from.
   */
  samplingFreeAt?: 'none' | 'none-or-unset'
  /** Sampling parameters the model sets itself and answers with an error when they are given: taken out. */
  fixed?: readonly string[]
  /** A higher `temperature` is lowered to this. */
  temperatureMax?: number
  /** Knows `reasoning_effort` but not its `none`: that one is sent as `thinking: {type: 'disabled'}`. */
  effortNoneAsThinkingOff?: boolean
  /** A tool message must stand right after an assistant's call: parallel calls and their results are sent pair by pair. */
  splitToolCalls?: boolean
  /** Path of chat below the base URL, where it is not `/chat/completions`; `{model}` stands for the model's name. */
  chatPath?: string
  /** The same for streams, where they have a path of their own. */
  streamPath?: string
  /** `model` is not said in the body: the path or the address says it, and the server refuses the field. */
  dropModel?: boolean
  /** Sent as the limit where the client sets none: the server's own default cuts answers short. */
  maxTokensDefault?: number
  /**
   * OpenAI's own servers refuse functions beside an effort in chat ("use /v1/responses or set reasoning_effort to
   * 'none'", 2026): such a request is asked in Responses, whatever the client speaks.
   */
  toolsNeedResponses?: boolean
  /** Path of Responses below the base URL, where it is not `/responses`; the row's `query` is chat's and does not go along. */
  responsesPath?: string
}
