import { AppError } from '../core/index.ts'
import { parseDotenv } from './dotenv.ts'

export type VariableFormat = 'dotenv' | 'json' | 'yaml'

export function formatOf(path: string): VariableFormat {
  if (/\.json$/i.test(path)) return 'json'
  return /\.ya?ml$/i.test(path) ? 'yaml' : 'dotenv'
}

/** Names and texts. JSON and YAML hold one mapping of names to plain values. */
export async function readVariables(
  path: string,
  text: string,
  format: VariableFormat = formatOf(path),
): Promise<Record<string, string>> {
  if (format === 'dotenv') return parseDotenv(text)
  const parsed = await parsedAs(format, path, text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new AppError('request.invalid', `${path} is not a mapping of names to values`)
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]) => {
      if (typeof value === 'object' && value !== null)
        throw new AppError('request.invalid', `${path}: ${name} holds more than one value`)
      return [name, value === null ? '' : String(value)]
    }),
  )
}

async function parsedAs(format: 'json' | 'yaml', path: string, text: string): Promise<unknown> {
  try {
    if (format === 'json') return JSON.parse(text)
    return (await import('yaml')).parse(text)
  } catch {
    // The parser's own words quote the text, which may hold a secret where a reference was meant.
    throw new AppError('request.invalid', `${path} is no ${format.toUpperCase()}`)
  }
}
