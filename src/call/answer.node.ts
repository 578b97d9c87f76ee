import { GatewayError } from '../errors.ts'
import { fieldIn, type HeaderList } from '../http/fields.ts'
import { type Coding, codingsOf, createDecoder, type Decoder } from './decompress.node.ts'
import { createInbox, type Inbox, type InboxOptions } from './inbox.ts'
import type { Reply } from './transport.ts'

/** A reply in the making: the network pushes, the reader reads. */
export type Answer = {
  reply: Reply
  /** The bytes are the network's again when it returns. */
  push(bytes: Uint8Array): void
  end(): void
  fail(error: GatewayError, atOnce: boolean): void
}

/** `cancel`: the answer is no longer wanted. */
export type Network = InboxOptions

export function createAnswer(status: number, received: HeaderList, network: Network): Answer {
  return new Received(status, received, network)
}

/** A class, since every request has one: with its inbox's, the closures were 2 KB. */
class Received implements Answer, Reply {
  readonly status: number
  readonly body: Inbox
  readonly #headers: HeaderList
  readonly #decoder: Decoder | undefined

  constructor(status: number, received: HeaderList, network: Network) {
    const codings = codingsOf(valueIn(received, 'content-encoding'))
    this.status = status
    this.#headers = received
    if (codings) {
      const { inbox, decoder } = openDecoder(codings, network)
      this.body = inbox
      this.#decoder = decoder
    } else this.body = createInbox(network)
  }

  // The network.
  get reply(): Reply {
    return this
  }
  push(bytes: Uint8Array): void {
    // It reads them later.
    if (this.#decoder) this.#decoder.push(new Uint8Array(bytes))
    else this.body.lend(bytes)
  }
  end(): void {
    if (this.#decoder) this.#decoder.end()
    else this.body.end()
  }
  fail(error: GatewayError, atOnce: boolean): void {
    this.#decoder?.destroy()
    this.body.fail(error, atOnce)
  }

  // The reader.
  header(name: string): string | undefined {
    return this.#isHidden(name) ? undefined : valueIn(this.#headers, name.toLowerCase())
  }
  headers(): Record<string, string> {
    const out: Record<string, string> = {}
    this.eachHeader((name, value) => {
      out[name] = value
    })
    return out
  }
  eachHeader(tell: (name: string, value: string) => void): void {
    const received = this.#headers
    for (let i = 0; i < received.length; i += 2) {
      const name = received[i] ?? ''
      if (name !== 'set-cookie' && !this.#isHidden(name)) tell(name, received[i + 1] ?? '')
    }
  }
  bytes(max?: number): Promise<Uint8Array> {
    return this.body.bytes(max)
  }
  ready(max?: number): Uint8Array | undefined {
    return this.body.ready(max)
  }
  #isHidden(name: string): boolean {
    return this.#decoder !== undefined && ofCodedBody.has(name)
  }
}

function openDecoder(
  codings: readonly Coding[],
  network: Network,
): { inbox: Inbox; decoder: Decoder } {
  const inbox = createInbox({
    pause: () => decoder.pause(),
    resume: () => decoder.resume(),
    cancel: () => network.cancel(),
    maxBytes: network.maxBytes,
  })
  const decoder = createDecoder(codings, {
    push: (chunk) => inbox.push(chunk),
    end: () => inbox.end(),
    fail: (cause) => {
      const name = codings.join(', ')
      const text = `the upstream's answer is not the ${name} it says it is`
      decoder.destroy()
      inbox.fail(new GatewayError('bad_gateway', text, { cause }), false)
      network.cancel()
    },
    pause: () => network.pause(),
    resume: () => network.resume(),
  })
  return { inbox, decoder }
}

/** A provider's cookies are for one client, and a gateway is many. */
function valueIn(headers: HeaderList, name: string): string | undefined {
  return name === 'set-cookie' ? undefined : fieldIn(headers, name)
}

/** Of the bytes before they were decompressed; untrue of what is read. */
const ofCodedBody: ReadonlySet<string> = new Set(['content-encoding', 'content-length'])
