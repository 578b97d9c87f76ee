/**
 * What OpenAI encrypts of a thought travels as its signature. It is a Fernet token, which begins with its version and the
 * first bytes of a time; it holds the whole thought, and only OpenAI can read it: any other API answers 400.
 */
export const isOpenAis = (signature: string): boolean => signature.startsWith(openAis)
export const openAis = 'gAAAA'
