import { noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { list, text } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { askOnce, invalid, jsonBody, type MediaWire, readJson } from './media.ts'
import type { SpeechRequest, SpeechResult } from './speech.ts'
import { readTask, taskOf } from './video-wires.ts'

type SpeechWire = MediaWire<SpeechRequest, SpeechResult>

/** Azure's Speech: the voice is a part of the text, which is SSML (learn.microsoft.com, text to speech REST, 2026-11). */
const azureSpeech: SpeechWire = {
  decodeError: decodeOpenai,
  *exchange({ text: said, voice = 'alloy', format, speed, instructions, extras }, _, lacks) {
    const { output_format, style, role, lang, ...others } = extras
    if (instructions !== undefined) lacks('instructions')
    if (Object.keys(others).length > 0) lacks(...Object.keys(others))
    const known = azureFormats.get(format ?? 'mp3')
    const sound = text(output_format) ?? known?.[0]
    if (sound === undefined) lacks('response_format')
    const [code = '', mime = 'audio/mpeg'] = known ?? azureFormats.get('mp3') ?? []
    const name = azureVoices.get(voice) ?? voice
    const rate = speed === undefined ? undefined : Math.round((speed - 1) * 100)
    const express = [
      ...(text(style) === undefined ? [] : [`style="${escaped(text(style) ?? '')}"`]),
      ...(text(role) === undefined ? [] : [`role="${escaped(text(role) ?? '')}"`]),
    ]
    const inner = [
      ...(rate === undefined ? [] : [`prosody rate="${rate < 0 ? '' : '+'}${rate}%"`]),
      ...(express.length === 0 ? [] : [`mstts:express-as ${express.join(' ')}`]),
    ].reduce((all, tag) => `<${tag}>${all}</${tag.split(' ')[0]}>`, escaped(said))
    const language = text(lang) ?? /^([a-z]{2,3}-[A-Z]{2})-/.exec(name)?.[1] ?? 'en-US'
    const answer = yield* askOnce({
      path: '/cognitiveservices/v1',
      live: true,
      headers: { 'x-microsoft-outputformat': sound ?? code },
      body: {
        type: 'bytes',
        mime: 'application/ssml+xml',
        bytes: toUtf8(
          /^\s*<speak[\s>]/.test(said)
            ? said
            : `<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xmlns:mstts="https://www.w3.org/2001/mstts" xml:lang="${escaped(language)}"><voice name="${escaped(name)}">${inner}</voice></speak>`,
        ),
      },
    })
    return {
      mime: answer.header('content-type') ?? mime,
      audio: answer.live ?? answer.bytes,
      units: { characters: [...said].length },
      usage: noUsage,
    }
  },
}

const escaped = (said: string): string =>
  said
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')

const azureFormats = new Map<string, [name: string, mime: string]>([
  ['mp3', ['audio-24khz-48kbitrate-mono-mp3', 'audio/mpeg']],
  ['opus', ['ogg-48khz-16bit-mono-opus', 'audio/ogg']],
  ['wav', ['riff-24khz-16bit-mono-pcm', 'audio/wav']],
  ['pcm', ['raw-24khz-16bit-mono-pcm', 'audio/pcm']],
])
/** OpenAI's names for voices of Azure's, as LiteLLM has them; any other name is Azure's own. */
const azureVoices = new Map([
  ['alloy', 'en-US-JennyNeural'],
  ['echo', 'en-US-GuyNeural'],
  ['fable', 'en-GB-RyanNeural'],
  ['onyx', 'en-US-DavisNeural'],
  ['nova', 'en-US-AmberNeural'],
  ['shimmer', 'en-US-AriaNeural'],
])

/** Amazon Polly's SynthesizeSpeech; the model is the engine (docs.aws.amazon.com/polly, 2026-11). */
const polly: SpeechWire = {
  decodeError: decodeAws,
  *exchange(
    { text: said, voice = 'alloy', format, speed, instructions, extras },
    { model },
    lacks,
  ) {
    if (instructions !== undefined) lacks('instructions')
    if (speed !== undefined) lacks('speed')
    if (!engines.has(model))
      throw invalid('model', `Amazon Polly's models are ${[...engines].join(', ')}.`)
    const known = pollyFormats.get(format ?? 'mp3')
    if (!known) lacks('response_format')
    const [output, mime] = known ?? ['mp3', 'audio/mpeg']
    const answer = yield* askOnce({
      path: '/v1/speech',
      live: true,
      body: jsonBody({
        Engine: model,
        OutputFormat: output,
        Text: said,
        TextType: /^\s*<speak[\s>]/.test(said) ? 'ssml' : 'text',
        VoiceId: pollyVoices.get(voice) ?? voice,
        ...extras,
      }),
    })
    const billed = Number(answer.header('x-amzn-requestcharacters') ?? Number.NaN)
    return {
      mime: answer.header('content-type') ?? mime,
      audio: answer.live ?? answer.bytes,
      units: { characters: billed >= 0 ? billed : [...said].length },
      usage: noUsage,
    }
  },
}
const engines = new Set(['standard', 'neural', 'long-form', 'generative'])
const pollyFormats = new Map<string, [name: string, mime: string]>([
  ['mp3', ['mp3', 'audio/mpeg']],
  ['opus', ['ogg_opus', 'audio/ogg']],
  ['pcm', ['pcm', 'audio/pcm']],
])
/** As LiteLLM has them. */
const pollyVoices = new Map([
  ['alloy', 'Joanna'],
  ['echo', 'Matthew'],
  ['fable', 'Amy'],
  ['onyx', 'Brian'],
  ['nova', 'Ivy'],
  ['shimmer', 'Kendra'],
])

/**
 * Runway: a task, and a look at it until it is done; the sound is then at a public address (docs.dev.runwayml.com, text to
 * speech, 2026-11).
 */
const runway: SpeechWire = {
  decodeError: decodeOpenai,
  *exchange({ text: said, voice, format, speed, instructions, extras }, { model }, lacks) {
    if (instructions !== undefined) lacks('instructions')
    if (speed !== undefined) lacks('speed')
    if (format !== undefined && format !== 'mp3') lacks('response_format')
    const preset = voice === undefined ? 'Bernard' : (runwayVoices.get(voice) ?? voice)
    const task = readJson(
      yield* askOnce({
        path: '/text_to_speech',
        body: jsonBody({
          model,
          promptText: said,
          voice: { type: 'runway-preset', presetId: preset },
          ...extras,
        }),
      }),
    )
    const id = text(task['id']) ?? ''
    for (let looks = 0; looks < looksMax; looks++) {
      // It asks to be looked at no more often than every five seconds, and is seldom done in two.
      const told = yield* readTask(id, looks === 0 ? 2000 : 5000)
      const { status, error } = taskOf(told)
      if (status === 'failed') {
        const kind = /SAFETY|MODERATION/.test(error?.code ?? '') ? 'content_policy' : 'bad_gateway'
        throw new GatewayError(kind, `the provider made no speech: ${error?.message ?? status}`)
      }
      if (status !== 'completed') continue
      const url = text(list(told['output'])[0])
      if (url === undefined)
        throw new GatewayError('bad_gateway', 'the upstream answered without a recording')
      const sound = yield* askOnce({ method: 'GET', path: url, open: true, live: true })
      return {
        mime: sound.header('content-type') ?? 'audio/mpeg',
        audio: sound.live ?? sound.bytes,
        units: { characters: [...said].length },
        usage: noUsage,
      }
    }
    throw new GatewayError('timeout', 'the speech was not ready in five minutes')
  },
}
const looksMax = 60
/** OpenAI's names for voices of Runway's, as LiteLLM has them; any other name is Runway's own. */
const runwayVoices = new Map([
  ['alloy', 'Maya'],
  ['echo', 'James'],
  ['fable', 'Bernard'],
  ['onyx', 'Vincent'],
  ['nova', 'Serene'],
  ['shimmer', 'Ella'],
])

export const speechCloudWires = { 'azure-speech': azureSpeech, polly, runway } as const
