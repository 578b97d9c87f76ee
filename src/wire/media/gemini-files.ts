import { type JsonObject, list, object, text } from '../../json/json.ts'
import { gone, secondsOf } from './batch-words.ts'
import type { OwnFiles } from './cloud.ts'
import { uploadFile } from './gemini-batch.ts'
import { askOnce, readJob, readJson } from './media.ts'

/**
 * Files of the Gemini API, for messages and for file search stores (ai.google.dev/api/files, 2026-11). They are called as
 * Google calls them, `files/abc`, go after two days, and nobody gets back what was uploaded.
 */
export const geminiFiles: OwnFiles = {
  isOne: (id) => /^files\/[\w-]{1,100}$/.test(id),
  *upload({ name, mime }, bytes) {
    return encodeFile(yield* uploadFile(name, bytes, mime))
  },
  *find(id) {
    if (!geminiFiles.isOne(id)) throw gone('File', id)
    // A file that could not be read has an error of its own.
    return encodeFile(readJob(yield* askOnce({ method: 'GET', path: `/${id}` })))
  },
  *remove(id) {
    if (!geminiFiles.isOne(id)) throw gone('File', id)
    yield* askOnce({ method: 'DELETE', path: `/${id}` })
  },
  *page(token) {
    const query = new URLSearchParams({ pageSize: '100', ...(token && { pageToken: token }) })
    const told = readJson(yield* askOnce({ method: 'GET', path: `/files?${query}` }))
    return {
      // What a batch reads is the gateway's.
      items: list(told['files'])
        .map(object)
        .filter((file) => !/^throughway-/.test(text(file['displayName']) ?? ''))
        .map(encodeFile),
      next: text(told['nextPageToken']) || undefined,
    }
  },
}

function encodeFile(file: JsonObject): JsonObject {
  const { name, displayName, sizeBytes, createTime, expirationTime, state, error } = file
  const why = text(object(error)['message'])
  return {
    id: text(name) ?? '',
    object: 'file',
    bytes: Number(sizeBytes ?? 0) || 0,
    created_at: secondsOf(createTime),
    expires_at: secondsOf(expirationTime),
    filename: text(displayName) ?? text(name) ?? '',
    purpose: 'user_data',
    status: state === 'FAILED' ? 'error' : state === 'PROCESSING' ? 'uploaded' : 'processed',
    ...(why && { status_details: why }),
  }
}
