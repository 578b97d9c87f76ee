import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/raw-client.ts'
import { byStream, type Direct, directly } from './direct.node.ts'

async function accepted(t: TestContext, how: (socket: Socket) => Direct) {
  const server = createServer({ allowHalfOpen: true, noDelay: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({ port, host: '127.0.0.1' })
  t.after(() => {
    client.destroy()
    server.close()
  })
  const [socket]: Socket[] = await once(server, 'connection')
  assert.ok(socket)
  const direct = how(socket)
  direct.socket.on('error', () => {})
  t.after(() => direct.socket.destroy())
  return { server, client, socket, direct }
}

const connections = (server: Server): Promise<number> =>
  new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  )

for (const [name, how] of Object.entries({ directly, byStream }))
  test(`${name}: the reader is told, then the socket's listeners, and no byte is lost`, async (t) => {
    const { server, client, direct } = await accepted(t, how)
    let told = ''
    direct.tell((bytes) => {
      told += bytes
      // Whoever changes their mind while being told.
      if (told.endsWith('.')) direct.tell(undefined)
    })
    client.write('first')
    await eventually(() => told === 'first')
    assert.equal(direct.socket.bytesRead, 5)
    assert.equal(direct.socket.remoteAddress, '127.0.0.1')
    client.write(' second.')
    await eventually(() => told === 'first second.')
    let heard = ''
    direct.socket.on('data', (bytes: Buffer) => {
      heard += bytes
    })
    direct.socket.resume()
    const large = 'x'.repeat(3_000_000)
    client.end(large)
    await once(direct.socket, 'end')
    assert.ok(heard === large, `${heard.length} of ${large.length}`)
    // The other half is still open.
    direct.socket.end('bye')
    const [answer]: Buffer[] = await once(client, 'data')
    assert.equal(`${answer}`, 'bye')
    await once(client, 'close')
    await eventually(() => direct.socket.destroyed)
    assert.equal(await connections(server), 0)
  })

for (const [name, how] of Object.entries({ directly, byStream }))
  test(`${name}: a listener that takes its time holds the peer back`, async (t) => {
    const { client, direct } = await accepted(t, how)
    direct.socket.pause()
    const piece = Buffer.alloc(1_000_000)
    for (let i = 0; i < 200; i++) client.write(piece)
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.ok(direct.socket.readableLength < 1_000_000, `${direct.socket.readableLength}`)
    assert.ok(direct.socket.bytesRead < 100_000_000, `${direct.socket.bytesRead}`)
  })

test('directly: the accepted socket is replaced, or stays where Node cannot do that', async (t) => {
  const { direct, socket } = await accepted(t, directly)
  assert.notEqual(direct.socket, socket)
  const none = new Socket()
  assert.equal(directly(none).socket, none)
})
