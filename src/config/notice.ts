/** Where something stands in a file; both count from 1. */
export type Position = { file: string; line: number; column: number }

/** Something to tell the operator about one place of the configuration. Never holds a secret's value. */
export type Notice = { file: string; line?: number; column?: number; path: string; message: string }

export type Path = readonly (string | number)[]

/** `✖ config.yaml:3:5 model_list[0].model_name: missing` */
export function formatNotice(notice: Notice, level: 'error' | 'warning' = 'error'): string {
  const where =
    notice.line === undefined ? notice.file : `${notice.file}:${notice.line}:${notice.column ?? 1}`
  const what = [where, notice.path].filter((word) => word !== '').join(' ')
  return visible(
    `${level === 'error' ? '✖' : '⚠'} ${what === '' ? '' : `${what}: `}${notice.message}`,
  )
}

/** `['model_list', 0, 'model_name']` as `model_list[0].model_name`. */
export function formatPath(path: Path): string {
  let out = ''
  for (const step of path) {
    if (typeof step === 'number') out += `[${step}]`
    else if (/^[\w*-]+$/.test(step)) out += out === '' ? step : `.${step}`
    else out += `[${JSON.stringify(step.length > 80 ? `${step.slice(0, 80)}…` : step)}]`
  }
  return out
}

/** Names come from a file: one with a line break in it must not forge a line of its own. */
const visible = (line: string): string =>
  line.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
