import { type Paint, plain } from './paint.ts'

/** Where words go: results and the greeting to `out`, complaints and logs to `err`. */
export type Terminal = {
  out(text: string): void
  err(text: string): void
  /** For `out` and for `err`. */
  paint: Paint
  paintErr: Paint
}

/** Colours only where a person looks, and not where NO_COLOR (no-color.org) says no. */
export async function openTerminal(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Terminal> {
  const { stdout, stderr } = process
  // Whoever read our words may go (`throughway | head -1`): the server stays.
  for (const stream of [stdout, stderr]) stream.on('error', () => {})
  const coloured = !env['NO_COLOR'] && env['TERM'] !== 'dumb' && (stdout.isTTY || stderr.isTTY)
  const colours = coloured ? (await import('picocolors')).default.createColors(true) : plain
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    paint: stdout.isTTY ? colours : plain,
    paintErr: stderr.isTTY ? colours : plain,
  }
}
