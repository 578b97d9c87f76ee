/** The catalogue while it is served: where it came from, and how a newer one is fetched. */
export interface Prices {
  source(): PriceSource
  /**
   * Fetches the list anew, here and then in every process. Resolves when models are priced by it here. Throws GatewayError
   * where no address is set or the list cannot be had: then everything stays as it is.
   */
  refresh(): Promise<void>
  /** Hours between two looks; undefined: it is looked for at the start only. */
  setInterval(hours: number | undefined): Promise<void>
  interval(): Promise<number | undefined>
}

export type PriceSource = {
  models: number
  /** Where it was fetched; undefined: it came with the gateway. */
  url: string | undefined
  etag: string | undefined
  /** LITELLM_LOCAL_MODEL_COST_MAP is set. */
  localOnly: boolean
  /** Milliseconds since the epoch. */
  loadedAt: number
  /** When it was last looked for a newer one; undefined: never. */
  lookedAt: number | undefined
  /** Why the last look found nothing that could be used. */
  problem: string | undefined
}
