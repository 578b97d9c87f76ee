import type { MediaPart } from '../../chat/chat.ts'
import type { Target } from '../wire.ts'
import { versionOf } from './abilities.ts'
import { mimeOf } from './parts.ts'

/**
 * Google fetches addresses of the web itself, but wants to be told their type, and AI Studio takes https only and none
 * with the models before 2.5 (ai.google.dev, file input methods, 2026-01). YouTube and what its Files API keeps always
 * go by address.
 */
export function takesUrl({ source, name }: MediaPart, { provider, model }: Target): boolean {
  if (source.type !== 'url' || googles.test(source.url)) return true
  const typed = (source.mime ?? mimeOf(name ?? source.url)) !== undefined
  if (!typed || provider !== 'gemini') return typed
  const version = versionOf(model)
  return /^https:/i.test(source.url) && (version === undefined || version >= 2.05)
}

const googles =
  /^https?:\/\/(?:(?:www\.|m\.)?youtube\.com|youtu\.be|generativelanguage\.googleapis\.com)\//i
