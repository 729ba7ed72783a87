import { readFile } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import type { Json } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { Terminal } from './terminal.ts'

/** A JSON object from a file, or from standard input where the name is `-`. */
export async function readInput(
  terminal: Pick<Terminal, 'input'>,
  file: string,
): Promise<{ [key: string]: Json }> {
  const value = await read(terminal, file)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  // The parser's words quote the content, which may hold what must not be shown.
  throw new AppError('request.invalid', `${file === '-' ? 'standard input' : file} is not a JSON object`)
}

/** Any JSON from there. */
export async function readJson(terminal: Pick<Terminal, 'input'>, file: string): Promise<Json> {
  const value = await read(terminal, file)
  if (value !== undefined) return value
  throw new AppError('request.invalid', `${file === '-' ? 'standard input' : file} is not JSON`)
}

const read = async (terminal: Pick<Terminal, 'input'>, file: string): Promise<Json | undefined> =>
  parse(file === '-' ? await readText(terminal.input) : await readFile(file, 'utf8'))

function parse(content: string): Json | undefined {
  try {
    const value: Json = JSON.parse(content)
    return value
  } catch {
    return
  }
}
