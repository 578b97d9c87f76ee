import type { Notice } from '../config/notice.ts'
import type { Config } from '../config/schema.ts'
import type { Json, JsonObject } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'

/** The configuration as it is served, and how it changes while it is. */
export interface Live {
  /** With everything the database adds to the file. */
  readonly config: Config
  /** The file's alone. */
  readonly file: Config
  /** A variable as it holds now: the environment's, or what was set over the API in its place. */
  variable(name: string): string | undefined
  /** Serves what the database says now: whoever asks after this has resolved meets it. */
  refresh(): Promise<void>
  /** Reads the files again. With errors everything stays as it is. */
  reload(): Promise<Reloaded>
  /**
   * The deployments an entry of model_list would become, none of them served. Throws 400 where the entry is wrong or leads
   * to no provider.
   */
  try(entry: JsonObject): Promise<readonly Deployment[]>
  /** What would be wrong with these sections over those of the file. Never throws. */
  check(sections: Readonly<Record<string, Json>>): { errors: Notice[]; warnings: Notice[] }
}

export type Reloaded = {
  /** False: the files say what they said before. */
  changed: boolean
  errors: Notice[]
  warnings: Notice[]
}
