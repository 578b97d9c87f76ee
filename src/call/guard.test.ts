import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createAllowedHosts, hostOf, isForbidden, objectionTo } from './guard.ts'

const forbidden = `
  0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
  168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
  192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
  239.255.255.255 240.0.0.1 255.255.255.255
  :: ::1 ::2 ::127.0.0.1 ::7f00:1 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001
  ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 ::FFFF:A9FE:A9FE 0:0:0:0:0:ffff:10.0.0.1 ::ffff:0:127.0.0.1
  64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::10.1.2.3 64:ff9b:1::1 64:ff9b:1::8.8.8.8 64:ff9b:0:0:1::8.8.8.8
  100::1 fc00::1 fd00:ec2::254 fd20:ce::254 fdff:ffff::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff00::1 ff02::1
  2001::1 2001:0:53aa:64c:0:0:80ff:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1
  2002:808:808::1 3fff::1 5f00::1 4000::1 8000::1
  2607:f8b0::5efe:10.0.0.1 2607:f8b0::200:5efe:192.168.1.1
`
const open = `
  1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
  168.63.129.15 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.1 192.167.255.255
  192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
  2606:4700:4700::1111 2001:4860:4860::8888 2001:200::1 2a00:1450:4001:80b::200e 3fff:1000::1 2607:f8b0::5efe:8.8.8.8
  ::ffff:8.8.8.8 ::ffff:808:808 64:ff9b::8.8.8.8
`
/** Never a plain address: what a resolver or a URL gives is spelt one way only. */
const notAddresses = `
  localhost 127.1 127.0.1 0177.0.0.1 0x7f.0.0.1 2130706433 0x7f000001 017700000001 08.8.8.8 8.8.8.08 8.8.8 8.8.8.8.8
  256.8.8.8 8.8.8.8. 8.8.8.-8 8.8.8.8/32 [2606:4700::1] 2606:4700 2606:4700:::1 1::2::3 1:2:3:4:5:6:7:8:9
  1:2:3:4:5:6:7::8:9 2606:4700::12345 2606:4700::g ::ffff:8.8.8.256 2606:4700::8.8.8.8.8 2606:4700::1%1 :2606::1
`
const words = (text: string): string[] => text.trim().split(/\s+/)

test('no address of an inner, shared or special network is fetched from', () => {
  for (const ip of words(forbidden)) equal(isForbidden(ip), true, ip)
})
test('public addresses are fetched from', () => {
  for (const ip of words(open)) equal(isForbidden(ip), false, ip)
})
test('what is no plain address is forbidden', () => {
  for (const ip of [
    '',
    ' ',
    ' 8.8.8.8',
    '8.8.8.8 ',
    '8.8.8.8\n',
    '８.8.8.8',
    ':'.repeat(45),
    ...words(notAddresses),
  ])
    equal(isForbidden(ip), true, JSON.stringify(ip))
})

/** Every spelling of an address that a URL may have, as the URL parser reads it. */
const urls: [url: string, ip: string][] = [
  ['http://2130706433/', '127.0.0.1'],
  ['http://0x7f000001/', '127.0.0.1'],
  ['http://0X7F.1/', '127.0.0.1'],
  ['http://017700000001/', '127.0.0.1'],
  ['http://0177.0.0.01/', '127.0.0.1'],
  ['http://127.1/', '127.0.0.1'],
  ['http://127.0.0.1./', '127.0.0.1'],
  ['http://①②⑦.⓪.⓪.①/', '127.0.0.1'],
  ['http://127。0。0。1/', '127.0.0.1'],
  ['http://%31%32%37.0.0.1/', '127.0.0.1'],
  ['http://0/', '0.0.0.0'],
  ['http://2852039166/', '169.254.169.254'],
  ['http://0xA9FEA9FE/', '169.254.169.254'],
  ['http://[::ffff:a9fe:a9fe]/', '::ffff:a9fe:a9fe'],
  ['http://[0:0:0:0:0:ffff:127.0.0.1]/', '::ffff:7f00:1'],
  ['http://[::]/', '::'],
  ['http://example.com\\@127.0.0.1/', 'example.com'],
  ['http://example.com#@127.0.0.1/', 'example.com'],
  ['http://LOCALHOST./', 'localhost'],
]
for (const [url, host] of urls)
  test(`${url} is ${host}`, () => {
    equal(hostOf(new URL(url)), host)
    if (host !== 'example.com') equal(isForbidden(host), true)
  })

test('an address and the same in other clothes are judged alike', () => {
  const byte = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(byte, byte, byte, byte, (a, b, c, d) => {
      const four = `${a}.${b}.${c}.${d}`
      const hex = [(a << 8) | b, (c << 8) | d].map((group) => group.toString(16)).join(':')
      for (const wrapped of [
        `::ffff:${four}`,
        `::ffff:${hex}`,
        `64:ff9b::${four}`,
        `64:ff9b::${hex}`,
      ])
        equal(isForbidden(wrapped), isForbidden(four), wrapped)
      equal(isForbidden(hostOf(new URL(`http://[::ffff:${four}]`))), isForbidden(four))
    }),
  )
})
test('only the public internet is open among sixteen-byte addresses', () => {
  const group = fc.integer({ min: 0, max: 0xffff })
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const ip = groups.map((one) => one.toString(16)).join(':')
      if (!isForbidden(ip)) equal(Math.floor((groups[0] ?? 0) / 0x2000), 1, ip)
      equal(isForbidden(hostOf(new URL(`http://[${ip}]`))), isForbidden(ip), 'the URL’s spelling')
    }),
  )
})
test('any text is judged, and none throws', () => {
  fc.assert(fc.property(fc.string(), (text) => equal(typeof isForbidden(text), 'boolean')))
})

const objections: [url: string, trusted: boolean, allowed: boolean][] = [
  ['https://example.com/a.png', false, true],
  ['https://example.com:443/', false, true],
  ['https://example.com:80/', false, true],
  ['http://example.com/', false, false],
  ['https://example.com:8443/', false, false],
  ['https://example.com:22/', false, false],
  ['https://user@example.com/', false, false],
  ['https://:password@example.com/', false, false],
  ['ftp://example.com/', false, false],
  ['file:///etc/passwd', false, false],
  ['data:image/png;base64,AA', false, false],
  ['gopher://127.0.0.1:6379/_', true, false],
  ['file:///etc/passwd', true, false],
  ['https://user@example.com/', true, false],
  ['http://example.com:8080/', true, true],
]
for (const [url, trusted, allowed] of objections)
  test(`${url} is ${allowed ? '' : 'not '}looked up${trusted ? ', though its host is trusted' : ''}`, () =>
    equal(objectionTo(new URL(url), trusted) === undefined, allowed))

const allowances: [entry: string, url: string, has: boolean][] = [
  ['files.corp.internal', 'https://files.corp.internal/a', true],
  ['files.corp.internal', 'http://files.corp.internal:8080/a', true],
  ['Files.Corp.Internal.', 'https://files.corp.internal/a', true],
  ['files.corp.internal', 'https://files.corp.internal./a', true],
  ['files.corp.internal', 'https://a.files.corp.internal/', false],
  ['files.corp.internal', 'https://files.corp.internal.evil.example/', false],
  ['corp.internal', 'https://files.corp.internal/', false],
  ['files.corp.internal:8080', 'http://files.corp.internal:8080/', true],
  ['files.corp.internal:8080', 'http://files.corp.internal/', false],
  ['files.corp.internal:443', 'https://files.corp.internal/', true],
  ['files.corp.internal:80', 'http://files.corp.internal/', true],
  ['127.0.0.1', 'http://127.0.0.1:9/', true],
  ['127.0.0.1', 'http://2130706433:9/', true],
  ['127.0.0.1:8080', 'http://127.0.0.1:8080/', true],
  ['[::1]:443', 'https://[::1]/', true],
  ['[::1]', 'https://[::1]:9/', true],
  ['::1', 'https://[0:0:0:0:0:0:0:1]/', true],
  ['https://files.corp.internal/', 'https://files.corp.internal/x', true],
  ['bücher.example', 'https://xn--bcher-kva.example/', true],
  ['*', 'https://example.com/', false],
  ['', 'https://example.com/', false],
  ['a b', 'https://example.com/', false],
  ['user@files.corp.internal', 'https://files.corp.internal/', false],
]
for (const [entry, url, has] of allowances)
  test(`${JSON.stringify(entry)} ${has ? 'allows' : 'does not allow'} ${url}`, () =>
    equal(createAllowedHosts([entry]).has(new URL(url)), has))
