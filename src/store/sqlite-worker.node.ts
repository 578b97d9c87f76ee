import { parentPort, workerData } from 'node:worker_threads'
import { type Ask, openConnection } from './sqlite-run.node.ts'

/**
 * SQLite in a thread of its own, so that neither a checkpoint's fsync nor a long report holds up a request. One message
 * in, one out.
 */
if (parentPort) serve(parentPort, String((workerData as { path: string }).path))

function serve(port: NonNullable<typeof parentPort>, path: string): void {
  const connection = openConnection(path, { busyMs: 10_000, checkpoints: true })
  port.on('message', (ask: Ask | 'close') => {
    if (ask !== 'close') return port.postMessage(connection.run(ask))
    connection.close()
    port.close()
  })
}
