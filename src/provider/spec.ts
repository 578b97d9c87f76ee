import type { Also } from '../wire/media/wires.ts'
import type { Quirks } from '../wire/quirks.ts'
import type { WireId } from '../wire/wires.ts'

/** Everything the house knows about a provider. Data only: a provider that needs code needs a wire, an auth scheme or a named quirk. */
export type ProviderSpec = {
  /** As people call it: `Groq`. */
  name: string
  /** The word before "Exception" in LiteLLM's error texts, e.g. `Groq`; default: `name` without spaces. */
  errorName?: string
  /** How it speaks chat. */
  wire: WireId
  /**
   * May hold {NAME}: filled from the row's parameter of that name (lower case) or the environment; `{A|B=eu}` tries
   * both names and then says `eu`. Absent: the row must give `api_base`.
   */
  baseUrl?: string
  /** Environment names that replace `baseUrl`, first found wins. */
  baseUrlEnv?: readonly string[]
  /** Hosts of this provider besides the one in `baseUrl`: an `api_base` on one of them is this provider's. */
  hosts?: readonly string[]
  /** Hosts where it puts what it has made, for everybody who knows the address. No credential goes there. */
  files?: readonly string[]
  auth: Auth
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>
  /** Added to the query of every request; places as in `baseUrl`, and one nobody fills is left out. */
  query?: Readonly<Record<string, string>>
  /** Bases that are spoken to otherwise: the first whose `match` (a regular expression) fits the base in use. */
  bases?: readonly {
    match: string
    chatPath: string
    query?: Readonly<Record<string, string>>
    wire?: WireId
  }[]
  /** How a base is spelt before a path is joined to it, whoever gave it: the first that matches is applied. */
  addresses?: readonly AddressRule[]
  /** What the wire puts into bodies and headers from the row (`Target.values`); places as in `baseUrl`, and one nobody fills is left out. */
  values?: Readonly<Record<string, string>>
  /** Of each list at least one of the `values` has to be there, but for models like `unless`. */
  needs?: readonly { any: readonly string[]; unless?: string }[]
  quirks?: Quirks
  /** Takes OpenAI's `developer` role. The others that are compatible with OpenAI get it as `system`, which all of them know. */
  knowsDeveloper?: true
  /** Models of this provider that differ: the first whose `match` is found in the model's name (case-insensitive). */
  variants?: readonly Variant[]
  /** Names that say where a model is: the address for those, whatever variant they fit. `$1` as in variants; the first that matches. */
  places?: readonly ModelRule[]
  /** How the provider spells names of models, where it is not what LiteLLM's users write: the first that matches is applied. */
  models?: readonly ModelRule[]
  /** What the provider is sent of a name that also says where the model is: the rest of the row sees all of it. */
  sends?: readonly ModelRule[]
  /** Name in the catalogue (`litellm_provider`), if it is another. */
  catalogue?: string
  /** What LiteLLM offers at this provider: the grid of docs/providers.md. */
  operations: readonly Operation[]
  /** How operations other than chat are spoken, where it is not OpenAI's way beside an OpenAI-compatible chat. */
  also?: Also
  /** Where vector stores are asked through a model: this one, unless the row names another. */
  storeModel?: string
  /** Models that take legacy completions (a regular expression); the others are asked in chat. Absent: all do. */
  textModels?: string
  /** Provider's API reference. */
  docs?: string
}

/**
 * `match` is a regular expression in text, so that rows stay data. Quirks here win over the row's of the same name; in
 * `baseUrl` and `quirks.chatPath`, `$&` and `$1` are what was matched.
 */
export type Variant = {
  match: string
  wire?: WireId
  quirks?: Quirks
  baseUrl?: string
  /** Only for clients that speak this wire: what passes natively for them need not for others. */
  client?: string
}

/** As in String.replace. */
export type ModelRule = { match: string; to: string }

/** `where`: only if this value of the row, places as in `baseUrl`, is like that. */
export type AddressRule = ModelRule & { where?: { value: string; is: string } }

/** Environment names are tried in order. A row's `api_key` always comes first. */
export type Auth =
  | { bearer: readonly string[]; optional?: boolean }
  | { header: string; env: readonly string[]; prefix?: string; optional?: boolean }
  | { scheme: string; env?: readonly string[] }
  | { none: true }

export type Operation =
  | 'chat'
  | 'responses'
  | 'messages'
  | 'text_completion'
  | 'embeddings'
  | 'image'
  | 'image_edit'
  | 'image_variation'
  | 'speech'
  | 'transcription'
  | 'rerank'
  | 'moderation'
  | 'ocr'
  | 'video'
  | 'realtime'
  | 'batch'
  | 'files'
  | 'fine_tuning'
  | 'assistants'
  | 'vector_stores'
  | 'search'
  | 'passthrough'
  | 'generate_content'
  | 'skills'
  | 'containers'
