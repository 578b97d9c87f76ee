import { noUsage } from '../../chat/chat.ts'
import { text } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { askOnce, invalid, jsonBody, type MediaWire } from './media.ts'
import type { SpeechRequest, SpeechResult } from './speech.ts'

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

export const speechCloudWires = { 'azure-speech': azureSpeech, polly } as const
