/** This build. package.json says the same; a test compares them. */
export const version = '0.1.0'
/** The LiteLLM whose surface is offered; told in `x-litellm-version`, which clients read as a number. */
export const litellmVersion = '1.106.2'
