/**
 * Many rows for one statement, as they cross to another thread: the numbers in one array that is handed over, the texts in
 * another. Cloned as arrays of arrays, a row of 25 columns costs 8 µs on the way out alone.
 */
export type Packed = {
  width: number
  /** A column each, row by row; `aText` stands for the next of `texts`, `nothing` for null. */
  numbers: Float64Array<ArrayBuffer>
  texts: string[]
}

/** No column holds either. */
const aText = Number.POSITIVE_INFINITY
const nothing = Number.NEGATIVE_INFINITY

/** Undefined where a row holds anything but finite numbers, texts and null, or rows differ in width. */
export function packed(rows: readonly (readonly unknown[])[]): Packed | undefined {
  const width = rows[0]?.length ?? 0
  const numbers = new Float64Array(rows.length * width)
  const texts: string[] = []
  let at = 0
  for (const row of rows) {
    if (row.length !== width) return undefined
    for (const value of row) {
      if (typeof value === 'number' && Number.isFinite(value)) numbers[at] = value
      else if (value === null) numbers[at] = nothing
      else if (typeof value === 'string') {
        numbers[at] = aText
        texts.push(value)
      } else return undefined
      at++
    }
  }
  return { width, numbers, texts }
}

/** Tells each row, always in the same array. */
export function eachRow(
  { width, numbers, texts }: Packed,
  tell: (row: (number | string | null)[]) => void,
): void {
  const row: (number | string | null)[] = new Array(width).fill(null)
  let text = 0
  for (let at = 0; at < numbers.length; at += width) {
    for (let column = 0; column < width; column++) {
      const value = numbers[at + column] ?? nothing
      row[column] = value === aText ? (texts[text++] ?? null) : value === nothing ? null : value
    }
    tell(row)
  }
}
