import type { Usage } from '../chat/chat.ts'
import { countedUsage } from '../chat/tokens.ts'
import { list } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Inbound } from '../wire/inbound.ts'
import type { Rooms } from './rooms.ts'

/** Nobody told the usage: it is counted, so that it is never zero. */
export async function counted(
  said: Inbound,
  text: string,
  to: Deployment,
  rooms: Rooms,
): Promise<Usage> {
  await rooms.tokens.ready()
  return countNow(said, text, to, rooms)
}

export function countInput(said: Inbound, model: string, { tokens }: Rooms) {
  const messages = said.has('messages') ? list(said.field('messages')) : undefined
  return messages
    ? tokens.counter.countMessages(
        messages,
        said.has('tools') ? said.field('tools') : undefined,
        model,
      )
    : tokens.counter.countRequest(said.request(), model)
}

export function countNow(said: Inbound, text: string, to: Deployment, rooms: Rooms): Usage {
  const { model } = to.target
  const { tokens } = rooms
  return countedUsage(countInput(said, model, rooms), {
    output: tokens.counter.countText(text, model),
    reasoning: 0,
    outputAudio: 0,
    outputImage: 0,
  })
}
