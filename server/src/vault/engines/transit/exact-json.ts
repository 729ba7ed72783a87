import { invalid } from './inputs.ts'

// Go writes the numbers of a key as JSON numbers with hundreds of digits, which `JSON.parse` alone would round.

/** The reviver's third argument and raw JSON: every Node that runs this has them, the types of the language not yet. */
type ExactJson = {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown
  rawJSON(text: string): unknown
}
const exact = JSON as unknown as ExactJson

/** JSON with whole numbers beyond 2^53 as `bigint`. */
export function parseExact(text: string): unknown {
  try {
    return exact.parse(text, (_key, value, { source }) =>
      typeof value === 'number' &&
      !Number.isSafeInteger(value) &&
      source !== undefined &&
      /^\d+$/.test(source)
        ? BigInt(source)
        : value,
    )
  } catch {
    // The parser's own words may quote the text.
    throw invalid('the backup cannot be restored: it is no JSON')
  }
}

export const stringifyExact = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? exact.rawJSON(String(item)) : item,
  )

/** The number that a JSON web key writes as base64url. */
export const bigInteger = (text: string | undefined): bigint =>
  BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex') || '0'}`)
