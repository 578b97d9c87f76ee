import { parseArgs } from 'node:util'
import { allocationsOf } from '../test/support/allocations.ts'

/**
 * What a request allocates, by function: most of what a request costs beyond the kernel's part is making objects and
 * clearing them away.
 *
 *     node scripts/allocations.ts [--stream] [--requests 4000] [--top 40]
 */
const { values } = parseArgs({
  options: {
    stream: { type: 'boolean', default: false },
    requests: { type: 'string', default: '4000' },
    top: { type: 'string', default: '40' },
  },
})

const ends: (() => unknown)[] = []
try {
  const { perRequest, functions } = await allocationsOf(
    { after: (end) => void ends.push(end) },
    { stream: values.stream, requests: Number(values.requests) },
  )
  console.log(`${perRequest.toFixed(0).padStart(8)} bytes a request`)
  for (const [name, bytes] of functions.slice(0, Number(values.top)))
    console.log(`${bytes.toFixed(0).padStart(8)} ${name}`)
} finally {
  for (const end of ends.reverse()) await end()
}
