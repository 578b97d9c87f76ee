import { type HeapProfiler, Session } from 'node:inspector'

/**
 * Loaded into a gateway's process (`--import`): the first SIGUSR2 begins to sample what it allocates, the second says on
 * standard output, as one line of JSON, how many bytes that were and of which functions.
 */
const session = new Session()
session.connect()

let isSampling = false
process.on('SIGUSR2', () => {
  if (isSampling) session.post('HeapProfiler.stopSampling', (_, { profile }) => tell(profile.head))
  else
    session.post('HeapProfiler.startSampling', {
      samplingInterval: 16_384,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    })
  isSampling = !isSampling
})

function tell(head: HeapProfiler.SamplingHeapProfileNode): void {
  const byFunction = new Map<string, number>()
  let total = 0
  const add = (node: HeapProfiler.SamplingHeapProfileNode, caller: string): void => {
    const { functionName, url, lineNumber } = node.callFrame
    const own = `${functionName || '(anonymous)'} ${url.replace(/.*\//, '')}:${lineNumber + 1}`
    const name = url === '' || url.startsWith('node:') ? `${own} < ${caller}` : own
    byFunction.set(name, (byFunction.get(name) ?? 0) + node.selfSize)
    total += node.selfSize
    for (const child of node.children) add(child, own)
  }
  add(head, '')
  const functions = [...byFunction].sort(([, a], [, b]) => b - a).slice(0, 100)
  console.log(JSON.stringify({ allocations: { total, functions } }))
}
