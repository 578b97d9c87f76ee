/**
 * Many rows for one statement, as they cross to another thread: the numbers in one array that is handed over, the texts in
 * another. Cloned as arrays of arrays, a row of 25 columns costs 8 µs on the way out alone.
 */
export type Packed = {
  width: number
  /**
   * A column each, row by row; `aText` stands for the next of `texts`, `nothing` for null, `asBefore` for what the row
   * before has there.
   */
  numbers: Float64Array<ArrayBuffer>
  texts: string[]
}

/** No column holds any of them. */
const aText = Number.POSITIVE_INFINITY
const nothing = Number.NEGATIVE_INFINITY
const asBefore = Number.NaN

/** Rows that are put down value by value, in the order of the columns: so a row needs no array of its own. */
export class Packing {
  readonly packed: Packed
  #at = 0

  constructor(width: number, rows: number) {
    this.packed = { width, numbers: new Float64Array(width * rows), texts: [] }
  }

  /** A finite one. */
  number(value: number): void {
    this.packed.numbers[this.#at++] = value
  }

  text(value: string | null): void {
    this.packed.numbers[this.#at++] = value === null ? nothing : aText
    if (value !== null) this.packed.texts.push(value)
  }

  nothing(): void {
    this.packed.numbers[this.#at++] = nothing
  }

  /** What this column has in the row before: a text that many rows share crosses once. */
  asBefore(): void {
    this.packed.numbers[this.#at++] = asBefore
  }
}

/** Undefined where a row holds anything but finite numbers, texts and null, or rows differ in width. */
export function packed(rows: readonly (readonly unknown[])[]): Packed | undefined {
  const width = rows[0]?.length ?? 0
  const packing = new Packing(width, rows.length)
  for (const row of rows) {
    if (row.length !== width) return undefined
    for (const value of row) {
      if (typeof value === 'number' && Number.isFinite(value)) packing.number(value)
      else if (value === null || typeof value === 'string') packing.text(value)
      else return undefined
    }
  }
  return packing.packed
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
      if (value === aText) row[column] = texts[text++] ?? null
      else if (value === nothing) row[column] = null
      // What is `asBefore` is there still.
      else if (!Number.isNaN(value)) row[column] = value
    }
    tell(row)
  }
}

/** An array for each column. */
export function columnsOf(rows: Packed): (number | string | null)[][] {
  const columns = Array.from({ length: rows.width }, (): (number | string | null)[] => [])
  eachRow(rows, (row) => {
    for (let at = 0; at < row.length; at++) columns[at]?.push(row[at] ?? null)
  })
  return columns
}
