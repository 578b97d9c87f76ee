/** Keeps secrets in the database unreadable to whoever has only the database. */
export type Sealer = {
  /** `sealed:<key id>:…`; the same text is sealed differently each time. */
  seal(text: string): string
  /** What was sealed; text that is not sealed comes back as it is. Throws where the key is another one. */
  open(sealed: string): string
  /** The keyed hash a virtual key is stored and found by, hex. */
  lookup(key: string): string
  /** SHA-256, hex: the id LiteLLM shows for a key. */
  digest(key: string): string
}
