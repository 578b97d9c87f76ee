/** The candidate a misspelt name most likely meant, or nothing when none is close: one slip in short names, more in long ones. */
export function nearest(
  name: string,
  candidates: Iterable<string>,
  max: number = name.length <= 4 ? 1 : name.length <= 8 ? 2 : 3,
): string | undefined {
  if (name.length > lengthMax) return undefined
  const wanted = name.toLowerCase()
  let best: string | undefined
  let bound = max + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= bound) continue
    const distance = editDistance(wanted, candidate.toLowerCase(), bound)
    if (distance >= bound) continue
    best = candidate
    bound = distance
    if (distance === 0) break
  }
  return best
}

/** Insertions, deletions, replacements and swapped neighbours from `a` to `b`; gives up (and answers `bound`) once it must be `bound` or more. */
export function editDistance(a: string, b: string, bound = Number.POSITIVE_INFINITY): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const line = [row]
    let least = row
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        at(last, column) + 1,
        at(line, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        cost = Math.min(cost, at(before, column - 2) + 1)
      line.push(cost)
      least = Math.min(least, cost)
    }
    // A swap reaches back two rows, so both must be out of reach.
    if (least >= bound && Math.min(...last) >= bound) return bound
    before = last
    last = line
  }
  return Math.min(at(last, b.length), bound)
}

const at = (row: readonly number[], column: number): number => row[column] ?? 0

/** No key is longer, and the work grows with the square. */
const lengthMax = 80
