import { equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toUtf8 } from '../../json/latin1.ts'
import { lastTime, soundMeter } from './sound.ts'
import { wav } from './speech.ts'
import { joined } from './upload.ts'

const secondsOf = (bytes: Uint8Array, size = bytes.length): number | undefined => {
  const meter = soundMeter()
  for (let at = 0; at < bytes.length; at += size) meter.push(bytes.subarray(at, at + size))
  return meter.seconds()
}

test('WAV: by its rate and the length of its data, however it comes', () => {
  const sound = wav(new Uint8Array(48_000 * 3), 24_000)
  equal(secondsOf(sound), 3)
  equal(secondsOf(sound, 1000), 3)
  // A recorder that was piped writes the largest length there is.
  new DataView(sound.buffer).setUint32(40, 0xffff_ffff, true)
  equal(secondsOf(sound), 3)
})

test('FLAC: by its count of samples', () => {
  const head = new Uint8Array(64)
  head.set(toUtf8('fLaC'))
  const view = new DataView(head.buffer)
  view.setUint32(18, (44_100 << 12) | 0x1f0)
  view.setUint32(22, 44_100 * 5)
  equal(secondsOf(head), 5)
})

test('Ogg: by its last page', () => {
  const page = (samples: number, body: Uint8Array) => {
    const head = new Uint8Array(28)
    head.set(toUtf8('OggS'))
    new DataView(head.buffer).setUint32(6, samples, true)
    return joined([head, body])
  }
  const sound = joined([
    page(0, toUtf8('OpusHead12345678901234567')),
    page(96_000, new Uint8Array(500)),
  ])
  equal(secondsOf(sound, 100), 2)
})

test('MP3: by the rate of its first frame, behind a tag', () => {
  const bytes = new Uint8Array(16_000 + 138)
  bytes.set(toUtf8('ID3'))
  bytes[9] = 128 & 127
  bytes[8] = 1
  bytes.set([0xff, 0xfb, 0x90, 0x00], 138)
  equal(secondsOf(bytes), 1)
})

test('what it does not know it does not guess, and nothing makes it throw', () => {
  equal(secondsOf(toUtf8('no sound at all')), undefined)
  equal(secondsOf(new Uint8Array(0)), undefined)
  const tags = fc.constantFrom('RIFF....WAVEdata', 'fLaC', 'OggS', 'ID3', 'RIFF....WAVEfmt ')
  fc.assert(
    fc.property(tags, fc.uint8Array({ maxLength: 300 }), (tag, more) => {
      const seconds = secondsOf(joined([toUtf8(tag), more]))
      ok(seconds === undefined || (Number.isFinite(seconds) && seconds >= 0))
    }),
  )
})

test('subtitles end where their last cue does', () => {
  equal(lastTime('1\n00:00:00,000 --> 00:01:02,500\nHallo'), 62.5)
  equal(lastTime('WEBVTT\n\n00:00.000 --> 00:03.250\na\n'), 3.25)
  equal(lastTime('no cues'), undefined)
})
