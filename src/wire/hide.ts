/** What is shown to a client of what a provider said: a provider that repeats its request would show our credential. */
export function hide(said: string, secrets: readonly string[]): string {
  let out = said
  for (const secret of secrets) if (out.includes(secret)) out = out.replaceAll(secret, '[redacted]')
  return out
}
