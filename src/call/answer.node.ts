import { GatewayError } from '../errors.ts'
import { fieldIn, type HeaderList } from '../http/fields.ts'
import { codingsOf, createDecoder, type Decoder } from './decompress.node.ts'
import { createInbox } from './inbox.ts'
import type { Reply } from './transport.ts'

/** A reply in the making: the network pushes, the reader reads. */
export type Answer = {
  reply: Reply
  push(chunk: Uint8Array): void
  end(): void
  fail(error: GatewayError, atOnce: boolean): void
}

export type Network = {
  pause(): void
  resume(): void
  /** The answer is no longer wanted. */
  cancel(): void
  maxBytes: number
}

export function createAnswer(status: number, received: HeaderList, network: Network): Answer {
  const codings = codingsOf(valueIn(received, 'content-encoding'))
  let decoder: Decoder | undefined
  const inbox = createInbox({
    pause: () => (decoder ?? network).pause(),
    resume: () => (decoder ?? network).resume(),
    cancel: () => network.cancel(),
    maxBytes: network.maxBytes,
  })
  const fail = (error: GatewayError, atOnce: boolean) => {
    decoder?.destroy()
    inbox.fail(error, atOnce)
  }
  if (codings)
    decoder = createDecoder(codings, {
      push: inbox.push,
      end: inbox.end,
      fail: (cause) => {
        const name = codings.join(', ')
        const text = `the upstream's answer is not the ${name} it says it is`
        fail(new GatewayError('bad_gateway', text, { cause }), false)
        network.cancel()
      },
      pause: () => network.pause(),
      resume: () => network.resume(),
    })
  const hidden = codings ? ofCodedBody : ofNoBody
  const each = (tell: (name: string, value: string) => void): void => {
    for (let i = 0; i < received.length; i += 2) {
      const name = received[i] ?? ''
      if (name !== 'set-cookie' && !hidden.has(name)) tell(name, received[i + 1] ?? '')
    }
  }
  return {
    reply: {
      status,
      header: (name) => (hidden.has(name) ? undefined : valueIn(received, name.toLowerCase())),
      headers() {
        const out: Record<string, string> = {}
        each((name, value) => {
          out[name] = value
        })
        return out
      },
      eachHeader: each,
      body: inbox.body,
      bytes: inbox.bytes,
    },
    push: decoder?.push ?? inbox.push,
    end: decoder?.end ?? inbox.end,
    fail,
  }
}

/** A provider's cookies are for one client, and a gateway is many. */
function valueIn(headers: HeaderList, name: string): string | undefined {
  return name === 'set-cookie' ? undefined : fieldIn(headers, name)
}

/** Of the bytes before they were decompressed; untrue of what is read. */
const ofCodedBody: ReadonlySet<string> = new Set(['content-encoding', 'content-length'])
const ofNoBody: ReadonlySet<string> = new Set()
