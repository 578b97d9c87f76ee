import type { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, text } from '../../json/json.ts'
import type { ErrorAnswer, ProviderWire, Target } from '../wire.ts'
import type { Store } from './buckets.ts'
import type { Exchange, Sent } from './media.ts'

/**
 * A provider whose batches are jobs: they read their requests from a place of their own, and write the results there.
 */
export interface Cloud {
  /** As people call it. */
  name: string
  /** Of the folders, within the bucket. */
  prefix: string
  store(to: Target): Store
  wire(to: Target): ProviderWire
  /** How it speaks embeddings, for models whose jobs make them; absent: none do. */
  embeddings?(to: Target): string | undefined
  /** Are examples for fine-tuning kept here too? Throws for a line that is none. */
  checkExamples?(said: string, to: Target): void
  /** What it keeps besides, in words of OpenAI's; absent: nothing that is not for batches. */
  own?: OwnFiles
  /** One line of what the job reads; `at` counts requests from 0. */
  encodeRow(body: JsonObject, at: number, to: Target): JsonObject
  decodeRow(row: JsonObject, to: Target): Row
  create(job: NewJob, to: Target): Exchange<Job>
  find(id: string, to: Target): Exchange<Job>
  cancel(id: string, to: Target): Sent
  page(token: string | undefined, to: Target): Exchange<Page>
  /** The results, as they come. */
  results(job: Job, to: Target): Exchange<readonly AsyncIterable<Uint8Array>[]>
  decodeError(answer: ErrorAnswer): GatewayError
}

/** Files that a provider keeps for itself, by its own ids. */
export type OwnFiles = {
  isOne(id: string): boolean
  upload(file: { name: string; mime: string }, bytes: Uint8Array): Exchange<JsonObject>
  find(id: string): Exchange<JsonObject>
  remove(id: string): Exchange<void>
  page(
    token: string | undefined,
  ): Exchange<{ items: readonly JsonObject[]; next: string | undefined }>
}

export type Row = { at: number | undefined; said: JsonObject | GatewayError }
export type Page = { jobs: readonly Job[]; next: string | undefined }

export type NewJob = {
  folder: string
  /** The path all of its lines are for. */
  endpoint: string
  rows: Uint8Array
  store: Store
  /** Unix seconds. */
  created: number
}

export type Job = {
  /** The provider's, without the collection it is in. */
  id: string
  /** Ours; undefined: made by somebody else. */
  folder: string | undefined
  /** OpenAI's word. */
  status: keyof typeof isOver
  /** Unix seconds. */
  created: number | null
  started: number | null
  ended: number | null
  expires: number | null
  counts: { completed: number; failed: number } | undefined
  /** Why it failed as a whole. */
  error: string | undefined
  /** Where the results are, in the provider's words. */
  output: string | undefined
}

export const isOver = {
  validating: false,
  in_progress: false,
  finalizing: false,
  cancelling: false,
  completed: true,
  failed: true,
  expired: true,
  cancelled: true,
} as const

/** Each batch has a folder, and so has each file: what may lie in it. */
export const names = {
  file: 'file.json',
  asked: 'asked.jsonl',
  made: 'batch.json',
  input: 'input.jsonl',
  validation: 'validation.jsonl',
}

export const placeIn = ({ prefix }: Cloud, folder: string, name: keyof typeof names): string =>
  `${prefix}${folder}/${names[name]}`

/** Rows are told apart by the place of their request, since no provider takes every `custom_id`. */
export const rowId = (at: number): string => `L${String(at).padStart(10, '0')}`
export function readRowId(said: Json | undefined): number | undefined {
  const [, digits] = /^[Ll](\d{10})$/.exec(text(said) ?? '') ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** A folder of ours in the address of what a job reads. */
export const folderOfInput = ({ prefix }: Pick<Cloud, 'prefix'>, uri: string): string | undefined =>
  new RegExp(`(?:^|/)${prefix}([\\w-]{3,80})/${names.input.replace('.', '\\.')}$`).exec(uri)?.[1]

export const inputName = ({ prefix }: Pick<Cloud, 'prefix'>, folder: string): string =>
  `${prefix}${folder}/${names.input}`

/** Where results go. */
export const outputName = (folder: string): string => `litellm-batch-outputs/${folder}/`
