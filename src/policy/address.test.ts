import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Incoming } from '../http/http.ts'
import { addressOf, plainAddress, rangesOf } from './address.ts'

const plain: [said: string, address: string][] = [
  ['10.1.2.3', '10.1.2.3'],
  [' 10.1.2.3:8080 ', '10.1.2.3'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['[2001:DB8::1]:443', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['2001:db8::1', '2001:db8::1'],
]
for (const [said, address] of plain)
  test(`${said} is ${address}`, () => assert.equal(plainAddress(said), address))

const cases: [ranges: string[], address: string, has: boolean][] = [
  [['10.1.2.3'], '10.1.2.3', true],
  [['10.1.2.3'], '::ffff:10.1.2.3', true],
  [['10.1.2.3'], '10.1.2.30', false],
  [['10.0.0.0/8'], '10.255.255.255', true],
  [['10.0.0.0/8'], '11.0.0.0', false],
  [['192.168.1.128/25'], '192.168.1.127', false],
  [['0.0.0.0/0'], '8.8.8.8', true],
  [['0.0.0.0/0'], '::1', false],
  [['2001:db8::/32'], '2001:db8:ffff::1', true],
  [['2001:db8::/32'], '2001:db9::1', false],
  [['::1'], '0:0:0:0:0:0:0:1', true],
  [['10.0.0.0/33'], '10.0.0.0', false],
  [['10.0.0'], '10.0.0.0', false],
  [['256.1.1.1'], '256.1.1.1', false],
  [['1::2::3'], '1::2::3', false],
  [['10.0.0.1'], '', false],
  [['10.0.0.1'], 'unknown', false],
]
for (const [said, address, has] of cases)
  test(`${said.join(', ')} ${has ? 'has' : 'does not have'} ${address || 'nothing'}`, () =>
    assert.equal(rangesOf(said, () => {}).has(address), has))

test('what is no address is told', () => {
  const wrong: string[] = []
  rangesOf(['10.0.0.0/8', 'localhost', '10.0.0.0/99', ''], (one) => void wrong.push(one))
  assert.deepEqual(wrong, ['localhost', '10.0.0.0/99', ''])
})

const asked = (forwarded: string | undefined): Incoming => ({
  method: 'GET',
  path: '/',
  query: '',
  header: (name) => (name === 'x-forwarded-for' ? forwarded : undefined),
  headers: () => ({}),
  headerNames: () => [],
  remoteAddress: '::ffff:10.0.0.9',
  body: async () => new Uint8Array(),
  stream: async function* () {},
  signal: new AbortController().signal,
})
const hops: [
  name: string,
  header: string | undefined,
  forwarded: boolean,
  trusted: string[],
  address: string,
][] = [
  ['nobody in front', undefined, true, [], '10.0.0.9'],
  ['a header nobody asked for', '1.1.1.1', false, [], '10.0.0.9'],
  ['one in front', '1.1.1.1', true, [], '1.1.1.1'],
  ['what the client wrote itself', '6.6.6.6, 1.1.1.1', true, [], '1.1.1.1'],
  ['two in front', '6.6.6.6, 1.1.1.1, 10.0.0.2', true, ['10.0.0.0/8'], '1.1.1.1'],
  ['all of them ours', '10.0.0.3, 10.0.0.2', true, ['10.0.0.0/8'], '10.0.0.3'],
  ['an empty one', ' , ', true, [], '10.0.0.9'],
]
for (const [name, header, forwarded, trusted, address] of hops)
  test(`whose it is: ${name}`, () =>
    assert.equal(
      addressOf(asked(header), { forwarded, trusted: rangesOf(trusted, () => {}) }),
      address,
    ))
