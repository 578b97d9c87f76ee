import { isObject, type Json, type JsonObject, list } from '../../src/json/json.ts'

/**
 * What differs from an expectation, in words; nothing where it fits. Objects are subsets, lists exact, null is null or
 * absent, and `$…` are operators.
 */
export function differences(
  expected: Json | undefined,
  actual: Json | undefined,
  at = '',
): string[] {
  if (expected === null || expected === undefined)
    return absent(actual) ? [] : [`${at}: nothing expected, ${show(actual)}`]
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length)
      return [`${at}: expected ${show(expected)}, got ${show(actual)}`]
    return expected.flatMap((each, index) => differences(each, actual[index], `${at}[${index}]`))
  }
  if (!isObject(expected))
    return expected === actual ? [] : [`${at}: expected ${show(expected)}, got ${show(actual)}`]
  return Object.entries(expected).flatMap(([key, value]) => {
    if (key.startsWith('$')) return operated(key, value, actual, at)
    if (!isObject(actual)) return [`${at}: expected an object with ${key}, got ${show(actual)}`]
    return differences(value, actual[key], at === '' ? key : `${at}.${key}`)
  })
}

function operated(
  name: string,
  told: Json | undefined,
  actual: Json | undefined,
  at: string,
): string[] {
  const operator = Object.hasOwn(operators, name) ? operators[name] : undefined
  if (!operator) return [`${at}: there is no operator ${name}`]
  return operator(told ?? null, actual)
    ? []
    : [`${at}: expected ${name} ${show(told)}, got ${show(actual)}`]
}

const fits = (expected: Json, actual: Json | undefined): boolean =>
  differences(expected, actual).length === 0
const absent = (value: Json | undefined): boolean => value === undefined || value === null
const string = (value: Json | undefined): string =>
  typeof value === 'string' ? value : JSON.stringify(value ?? '')
const show = (value: Json | undefined): string => (JSON.stringify(value) ?? 'absent').slice(0, 300)

/** Those of the kit's that the cases here use. */
const operators: Readonly<Record<string, (told: Json, actual: Json | undefined) => boolean>> = {
  $any: (_, actual) => !absent(actual),
  $absent: (_, actual) => absent(actual),
  $empty: (_, actual) => absent(actual) || actual === '' || list(actual ?? null).length === 0,
  $type: (told, actual) =>
    kindOf(actual) === told || (told === 'number' && typeof actual === 'number'),
  $re: (told, actual) => typeof actual === 'string' && new RegExp(string(told), 's').test(actual),
  $includes: (told, actual) =>
    (Array.isArray(told) ? told : [told]).every((word) =>
      string(actual).toLowerCase().includes(string(word).toLowerCase()),
    ),
  $excludes: (told, actual) =>
    (Array.isArray(told) ? told : [told]).every((word) => !string(actual).includes(string(word))),
  $starts: (told, actual) => string(actual).startsWith(string(told)),
  $exact: (told, actual) => JSON.stringify(sorted(told)) === JSON.stringify(sorted(actual ?? null)),
  $text: (told, actual) => textOf(actual) === told,
  $json: (told, actual) => {
    try {
      return typeof actual === 'string' && fits(told, JSON.parse(actual))
    } catch {
      return false
    }
  },
  $oneOf: (told, actual) => Array.isArray(told) && told.some((each) => fits(each, actual)),
  $not: (told, actual) => !fits(told, actual),
  $contains: (told, actual) =>
    Array.isArray(told) &&
    Array.isArray(actual) &&
    told.every((each) => actual.some((one) => fits(each, one))),
  $length: (told, actual) => Array.isArray(actual) && actual.length === told,
  $min: (told, actual) => typeof told === 'number' && typeof actual === 'number' && actual >= told,
  $near: (told, actual) =>
    typeof told === 'number' &&
    typeof actual === 'number' &&
    Math.abs(told - actual) <= Math.max(1e-12, Math.abs(told) * 1e-4),
}

const kindOf = (value: Json | undefined): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'array'
      : Number.isInteger(value)
        ? 'integer'
        : typeof value

/** A text, or text parts in a row. */
function textOf(value: Json | undefined): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(textOf).join('')
  return isObject(value) && typeof value['text'] === 'string' ? value['text'] : ''
}

/** The order of fields does not matter. */
const sorted = (value: Json): Json =>
  Array.isArray(value)
    ? value.map(sorted)
    : isObject(value)
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, each]): [string, Json] => [key, sorted(each ?? null)]),
        )
      : value

/** The value at `a.b[0].c`. */
export function valueAt(value: Json | undefined, path: string): Json | undefined {
  let found = value
  for (const key of path.split(/[.[\]]/).filter((each) => each !== '')) {
    if (Array.isArray(found)) found = found[Number(key)]
    else if (isObject(found)) found = (found as JsonObject)[key]
    else return undefined
  }
  return found
}
