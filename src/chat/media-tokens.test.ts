import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type CountedMedia, imageSize, mediaOfUrl, mediaTokens, type Size } from './media-tokens.ts'

const bytes = (...parts: (string | number | number[])[]): string =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from([part].flat()),
    ),
  ).toString('base64')
const big = (value: number, size = 2): number[] =>
  Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** (size - 1 - i)) & 255)
const little = (value: number, size = 2): number[] => big(value, size).reverse()
const zeros = (size: number): number[] => new Array<number>(size).fill(0)

const png = (width: number, height: number): string =>
  bytes(0x89, 'PNG\r\n\x1a\n', big(13, 4), 'IHDR', big(width, 4), big(height, 4), zeros(9))
const exif = [0xff, 0xe1, ...big(60_002), ...zeros(60_000)]
const frame = (marker: number): number[] => [0xff, marker, ...big(17), 8, ...big(480), ...big(640)]

const sizes: [name: string, base64: string, expected: Size | undefined][] = [
  ['PNG', png(1024, 768), { width: 1024, height: 768 }],
  ['PNG without width', png(0, 768), undefined],
  ['GIF', bytes('GIF89a', little(300), little(200), zeros(4)), { width: 300, height: 200 }],
  ['JPEG', bytes(0xff, 0xd8, frame(0xc0)), { width: 640, height: 480 }],
  [
    'progressive JPEG behind large EXIF',
    bytes(0xff, 0xd8, exif, exif, frame(0xc2)),
    { width: 640, height: 480 },
  ],
  [
    'JPEG with filled markers',
    bytes(0xff, 0xd8, 0xff, 0xff, frame(0xc1)),
    { width: 640, height: 480 },
  ],
  [
    'JPEG, tables are no frame',
    bytes(0xff, 0xd8, 0xff, 0xc4, big(4), 9, 9, frame(0xc0)),
    { width: 640, height: 480 },
  ],
  ['JPEG cut short', bytes(0xff, 0xd8, 0xff, 0xe1, big(60_002), zeros(90)), undefined],
  [
    'JPEG of empty segments without end',
    bytes(0xff, 0xd8, ...new Array<number[]>(5000).fill([0xff, 0xe1, 0, 0])),
    undefined,
  ],
  [
    'WebP, lossy',
    bytes('RIFF', zeros(4), 'WEBPVP8 ', zeros(10), little(320), little(240)),
    { width: 320, height: 240 },
  ],
  [
    'WebP, lossless',
    bytes('RIFF', zeros(4), 'WEBPVP8L', zeros(5), little(319 + 239 * 16384, 4)),
    { width: 320, height: 240 },
  ],
  [
    'WebP, extended',
    bytes('RIFF', zeros(4), 'WEBPVP8X', zeros(8), little(69_999, 3), little(239, 3)),
    { width: 70_000, height: 240 },
  ],
  [
    'base64 of the URL alphabet',
    png(65_535, 64_511).replaceAll('/', '_').replaceAll('+', '-'),
    { width: 65_535, height: 64_511 },
  ],
  ['AVIF is not read', bytes(zeros(4), 'ftypavif', zeros(40)), undefined],
  ['nothing', '', undefined],
  ['not base64', '%%%%%%%%%%%%%%%%', undefined],
]

const image = (width: number, height: number, detail?: string): CountedMedia => ({
  kind: 'image',
  base64: png(width, height),
  detail,
})
const elsewhere: CountedMedia = { kind: 'image' }
const file = (mime: string, size: number): CountedMedia => ({
  kind: 'file',
  mime,
  base64: 'A'.repeat(size),
})
const wav = bytes('RIFF', zeros(4), 'WAVEfmt ', zeros(12), little(32_000, 4), zeros(96_000 - 32))

const prices: [name: string, media: CountedMedia, model: string, expected: number][] = [
  ["OpenAI's example: 1024 × 1024, high", image(1024, 1024, 'high'), 'gpt-4o', 765],
  ["OpenAI's example: 2048 × 4096, high", image(2048, 4096, 'high'), 'gpt-4o', 1105],
  ["OpenAI's example: 4096 × 8192, low", image(4096, 8192, 'low'), 'gpt-4o', 85],
  ['auto is high', image(512, 512), 'gpt-4o', 255],
  ['one pixel more is a tile more', image(513, 512), 'gpt-4o', 425],
  ['a thread of 4 billion pixels', image(1, 4_000_000_000), 'gpt-4o', 85 + 170 * 4],
  ['elsewhere: as 1024 × 1024', elsewhere, 'gpt-4o', 765],
  ['gpt-4o-mini asks 33 times as much', image(512, 512), 'openai/gpt-4o-mini', 8500],
  ['Claude asks by area', image(1000, 750), 'anthropic/claude-sonnet-4-5', 1000],
  ['Claude shrinks what is large', image(8000, 6000), 'claude-sonnet-4-5', 1534],
  [
    'WAV says how fast it runs',
    { kind: 'audio', base64: wav, mime: 'audio/wav' },
    'gpt-4o-audio',
    30,
  ],
  [
    'MP3 by 128 kbit/s',
    { kind: 'audio', base64: 'A'.repeat(64_000), mime: 'audio/mp3' },
    'gpt-4o-audio',
    30,
  ],
  ['audio elsewhere: half a minute', { kind: 'audio' }, 'gpt-4o-audio', 300],
  ['video elsewhere: half a minute', { kind: 'video' }, 'gemini-2.5-pro', 8700],
  ['a text file by its length', file('text/plain; charset=utf-8', 4000), 'gpt-4o', 750],
  ['a PDF by its pages', file('application/pdf', 160_000), 'gpt-4o', 4000],
  ['a file elsewhere: a page', { kind: 'file' }, 'gpt-4o', 2000],
  [
    'a picture sent as a file',
    { ...image(512, 512), kind: 'file', mime: 'image/png' },
    'gpt-4o',
    255,
  ],
]

const urls: [url: string, expected: CountedMedia][] = [
  ['https://x/y.png', { kind: 'image', detail: undefined }],
  [
    'data:image/png;base64,AAAA',
    { kind: 'image', base64: 'AAAA', mime: 'image/png', detail: undefined },
  ],
  ['data:,hi', { kind: 'image', base64: 'hi', mime: '', detail: undefined }],
  [`data:${'x'.repeat(300)},AAAA`, { kind: 'image', detail: undefined }],
  ['data:no comma', { kind: 'image', detail: undefined }],
]

describe('media tokens', () => {
  for (const [name, base64, expected] of sizes)
    test(`size of ${name}`, () => assert.deepEqual(imageSize(base64), expected))

  for (const [name, media, model, expected] of prices)
    test(name, () => assert.equal(mediaTokens(media, model), expected))

  for (const [url, expected] of urls)
    test(`media of ${url.slice(0, 40)}`, () => assert.deepEqual(mediaOfUrl('image', url), expected))

  test('whatever the bytes are: a whole number within reason, and no throw', () => {
    const starts = fc.constantFrom(...sizes.map(([, base64]) => base64.slice(0, 44)), '')
    const kinds = fc.constantFrom('image', 'audio', 'video', 'file')
    fc.assert(
      fc.property(starts, fc.base64String(), kinds, (start, rest, kind) => {
        const tokens = mediaTokens({ kind, base64: start + rest }, 'gpt-4o')
        assert.ok(Number.isInteger(tokens) && tokens >= 0 && tokens <= 2000, `${tokens}`)
      }),
    )
  })
})
