/** Every model at Replicate has a schema of its own; kin share one. Fields a schema does not have are not sent. */
export type Family = {
  /** OpenAI's names of what its schema can say. */
  known: ReadonlySet<string>
  limit: string
  /** Where instructions go; absent: before the prompt. */
  system?: string
  /** Where pictures go, and whether there may be several; absent: it sees none. */
  images?: { field: string; several: boolean }
}

const words = (names: string): ReadonlySet<string> => new Set(names.split(' '))

/** Of most little is sure, so instructions stand in the prompt, which every one of them has. */
const anyOther: Family = {
  known: words('temperature top_p top_k seed stop presence_penalty frequency_penalty'),
  limit: 'max_tokens',
}

/** From the pages of gpt-4.1-mini and claude-4-sonnet (replicate.com/<owner>/<name>/versions/…/api, 2026-11); Llama 2's two names are LiteLLM's. */
const families: readonly [match: RegExp, family: Family][] = [
  [
    /^openai\/(?!gpt-oss)/,
    {
      known: words('temperature top_p presence_penalty frequency_penalty'),
      limit: 'max_completion_tokens',
      system: 'system_prompt',
      images: { field: 'image_input', several: true },
    },
  ],
  [
    /^anthropic\//,
    {
      known: new Set<string>(),
      limit: 'max_tokens',
      system: 'system_prompt',
      images: { field: 'image', several: false },
    },
  ],
  [/^meta\/llama-2-[^/]*chat/, { ...anyOther, limit: 'max_new_tokens', system: 'system_prompt' }],
]

export const familyOf = (model: string): Family =>
  families.find(([match]) => match.test(model))?.[1] ?? anyOther
