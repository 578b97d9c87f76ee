import type { Usage } from '../chat/chat.ts'
import { type Json, text } from '../json/json.ts'
import type { Catalogue } from './catalogue.ts'
import { priceOf, type Units } from './cost.ts'
import type { Deployment } from './deployment.ts'

/** Some pictures have a price for each size and quality, in entries of their own: `high/1024-x-1536/gpt-image-1`. */
export function isPricedBySize(
  { price }: Pick<Deployment, 'price'>,
  { usage, units }: { usage?: Usage | undefined; units?: Units | undefined },
): boolean {
  const { image, imageOf, pixel } = price.pieces
  return !usage && !!units?.images && image === undefined && imageOf.size === 0 && pixel === 0
}

/** The deployment with the price of the picture that was asked for, where there is one. */
export function sizedPrice(
  to: Deployment,
  asked: { field(key: string): Json | undefined },
  catalogue: Catalogue,
): Deployment {
  const said = (key: string): string | undefined => text(asked.field(key)) || undefined
  const model = text(to.row.info['base_model']) || to.target.model
  const wanted = { size: said('size'), quality: said('quality') }
  const found = catalogue.findImage(to.provider, model, wanted)
  if (!found) return to
  const info = { ...found.info, mode: 'image_generation' }
  return { ...to, info, price: priceOf(info, to.priceOptions) }
}
