import { isObject, type JsonObject, object, text } from '../../json/json.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import {
  askOnce,
  type Exchange,
  invalid,
  jsonBody,
  missing,
  readJson,
  undatedAzure,
} from './media.ts'
import type { Operation, OperationAsk, Told } from './operation.ts'

/** OpenAI's three ways to ask for a key that opens one realtime session, for a browser or an app. */
export type SecretKind = 'client_secrets' | 'sessions' | 'transcription_sessions'

/**
 * The key is the provider's own, and with it the client speaks to the provider alone: who asks has to be allowed the
 * model of the session, which is set here and cannot be changed by who has the key.
 */
export const realtimeSecret = (kind: SecretKind): Operation => ({
  id: 'realtime',
  dialect: openaiChat,
  form: false,
  knows: (wire) => wire === 'openai',
  reads: () => false,
  bound: () => ({ output: 0, unknown: true }),
  text: () => '',
  start: (ask) => ({ exchange: minted(kind, ask), decodeError }),
})

/** The model a session is for, as the client calls it. */
export function modelOfSession(kind: SecretKind, body: JsonObject): string {
  const { model } = sessionOf(kind, body)
  if (model !== undefined) return model
  throw missing(kind === 'client_secrets' ? 'session.model' : 'model')
}

type Session = {
  /** A copy. */
  session: JsonObject
  model: string | undefined
  /** It writes down what is said, and answers nothing. */
  transcribes: boolean
}

function sessionOf(kind: SecretKind, body: JsonObject): Session {
  const said = kind === 'client_secrets' ? body['session'] : body
  if (said !== undefined && !isObject(said))
    throw invalid('session', "'session' must be an object.")
  const session = structuredClone(object(said))
  const transcribes = kind === 'transcription_sessions' || session['type'] === 'transcription'
  const model =
    (transcribes ? text(transcriber(kind, session)['model']) : undefined) ??
    text(session['model']) ??
    text(body['model'])
  return { session, model: model || undefined, transcribes }
}

/** What writes down what is said; a part of the session. */
const transcriber = (kind: SecretKind, session: JsonObject): JsonObject =>
  kind === 'client_secrets'
    ? object(object(object(session['audio'])['input'])['transcription'])
    : object(session['input_audio_transcription'])

/** The session with the provider's model in its place. */
function withModel(kind: SecretKind, { session, transcribes }: Session, model: string): JsonObject {
  if (!transcribes)
    return { ...(kind === 'client_secrets' && { type: 'realtime' }), ...session, model }
  const { model: _, ...rest } = session
  const transcription = { ...transcriber(kind, session), model }
  if (kind !== 'client_secrets') return { ...rest, input_audio_transcription: transcription }
  const audio = object(rest['audio'])
  return { ...rest, audio: { ...audio, input: { ...object(audio['input']), transcription } } }
}

function* minted(kind: SecretKind, { to, plain, context }: OperationAsk): Exchange<Told> {
  const { model: _, ...body } = plain()
  const found = sessionOf(kind, plain())
  const session = withModel(kind, found, to.model === '*' ? (found.model ?? '') : to.model)
  const azure = to.quirks.chatPath?.startsWith('/openai/deployments/')
  const told = readJson(
    yield* askOnce({
      path: `/realtime/${kind}`,
      // Azure has it beside its deployments, without a version by date (learn.microsoft.com, realtime over WebRTC, 2026-11).
      ...(azure && {
        address: (base: string) => `${undatedAzure(base)}/realtime/${kind}`,
      }),
      body: jsonBody(kind === 'client_secrets' ? { ...body, session } : session),
    }),
  )
  const own = object(told['session'])
  const named = (place: JsonObject): boolean => text(place['model']) === to.model
  const out = {
    ...told,
    ...(named(told) && { model: context.model }),
    ...(named(own) && { session: { ...own, model: context.model } }),
  }
  return {
    type: 'whole',
    mime: 'application/json',
    encode: () => ({ body: JSON.stringify(out), encoding: 'utf8' }),
  }
}
