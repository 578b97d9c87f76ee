import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'

/** A whole answer has a list of them, a stream's event one. */
export const readCitations = (value: Json | undefined): JsonObject[] =>
  (Array.isArray(value) ? value : [value]).filter(isObject)

/** Which content block a citation is about; undefined when it is about a thought or a plan, which the client sees elsewhere. */
export function blockOf(citation: JsonObject): number | undefined {
  const type = text(citation.type) ?? 'TEXT_CONTENT'
  return type === 'TEXT_CONTENT' ? (number(citation.content_index) ?? 0) : undefined
}

/** As OpenAI's url_citation where a source has an address; otherwise as Cohere gave it. `from`: where its block begins in the answer's text. */
export function decodeCitation(citation: JsonObject, from: number): JsonObject[] {
  const found = list(citation.sources).flatMap((value): JsonObject[] => {
    const source = object(value)
    const about = isObject(source.document) ? source.document : object(source.tool_output)
    const url = text(about.url)
    if (url === undefined) return []
    return [
      {
        type: 'url_citation',
        url_citation: {
          url,
          title: text(about.title) ?? '',
          start_index: from + (number(citation.start) ?? 0),
          end_index: from + (number(citation.end) ?? 0),
          cited_text: text(citation.text) ?? '',
        },
      },
    ]
  })
  return found.length > 0 ? found : [citation]
}
